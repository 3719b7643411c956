/**
 * The back-end side of the vhost-user protocol: sockets, messages, negotiation, and the memory and rings that they set
 * up. Names are those of the vhost-user specification.
 */
package org.mypervisor.vhostuser;

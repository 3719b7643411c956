/** What can be asked of a running back-end, over HTTP/1.1 on a UNIX socket. */
package org.mypervisor.offload.control;

/**
 * Ports to interfaces of the host: taps and packet sockets. What a frame costs there is mostly the kernel's; so frames go out
 * from where they lie, without a copy of our own, and many in one system call where that is possible.
 */
package org.mypervisor.offload.host;

/**
 * Ports, paths, elements and workers: the packet way is {@link org.mypervisor.offload.Worker} to
 * {@link org.mypervisor.offload.Wire} to {@link org.mypervisor.virtqueue.Virtqueue}.
 */
package org.mypervisor.offload;

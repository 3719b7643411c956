package org.mypervisor.driversim;

/**
 * A chain the device has given back.
 *
 * @param head the chain, see {@link DriverQueue}
 * @param length bytes the device says it wrote; of a receive buffer all it could hold when the device reported a batch
 *     by its last element only (VIRTIO_F_IN_ORDER)
 */
public record UsedElement(int head, long length) {}

package org.mypervisor.vhostuser;

/**
 * What a user may choose for a port; it decides what the device offers, and nothing else does.
 *
 * @param queuePairs 1..128
 * @param mergeableBuffers offer VIRTIO_NET_F_MRG_RXBUF
 * @param eventIdx offer VIRTIO_F_EVENT_IDX
 * @param indirect offer VIRTIO_F_INDIRECT_DESC
 * @param inOrder offer VIRTIO_F_IN_ORDER
 * @param packed offer VIRTIO_F_RING_PACKED
 * @param offloads offer checksum and segmentation offloads, in both directions
 */
public record DeviceOptions(
        int queuePairs,
        boolean mergeableBuffers,
        boolean eventIdx,
        boolean indirect,
        boolean inOrder,
        boolean packed,
        boolean offloads) {
    /** A kick message has 8 bits for the vring index. */
    public static final int MAX_QUEUE_PAIRS = 128;

    public DeviceOptions {
        if (queuePairs < 1 || queuePairs > MAX_QUEUE_PAIRS) {
            throw new IllegalArgumentException("queuePairs=" + queuePairs + ", must be 1.." + MAX_QUEUE_PAIRS);
        }
    }

    /** One queue pair and everything on. */
    public static DeviceOptions defaults() {
        return new DeviceOptions(1, true, true, true, true, true, true);
    }
}

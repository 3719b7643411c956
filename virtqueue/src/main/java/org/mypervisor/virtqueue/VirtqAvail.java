package org.mypervisor.virtqueue;

/**
 * Layout of the available ring, written by the driver, virtio 1.2 §2.7.6.
 *
 * <pre>
 * struct virtq_avail { le16 flags; le16 idx; le16 ring[size]; le16 used_event; };
 * </pre>
 */
final class VirtqAvail {
    static final int ALIGNMENT = 2;

    static final int FLAGS_OFFSET = 0;
    static final int IDX_OFFSET = 2;
    static final int RING_OFFSET = 4;
    static final int ELEMENT_SIZE = 2;

    static final int VIRTQ_AVAIL_F_NO_INTERRUPT = 1;

    private VirtqAvail() {}

    static int size(final int queueSize, final boolean eventIdx) {
        return RING_OFFSET + ELEMENT_SIZE * queueSize + (eventIdx ? 2 : 0);
    }

    static int flags(final long avail) {
        return RawMemory.le16(avail + FLAGS_OFFSET);
    }

    /** Pairs with the driver's release after it filled ring and descriptors. */
    static int idxAcquire(final long avail) {
        return RawMemory.le16Acquire(avail + IDX_OFFSET);
    }

    /** To be compared unsigned: after a load from a page that is gone it is anything. */
    static int head(final long avail, final int slot) {
        return RawMemory.le16Unmasked(avail + RING_OFFSET + (long) slot * ELEMENT_SIZE);
    }

    static int usedEvent(final long avail, final int queueSize) {
        return RawMemory.le16(avail + RING_OFFSET + (long) queueSize * ELEMENT_SIZE);
    }
}

package org.mypervisor.virtqueue;

/**
 * Layout of the used ring, written by the device, virtio 1.2 §2.7.8.
 *
 * <pre>
 * struct virtq_used { le16 flags; le16 idx; struct { le32 id; le32 len; } ring[size]; le16 avail_event; };
 * </pre>
 */
final class VirtqUsed {
    static final int ALIGNMENT = 4;

    static final int FLAGS_OFFSET = 0;
    static final int IDX_OFFSET = 2;
    static final int RING_OFFSET = 4;
    static final int ELEMENT_SIZE = 8;

    static final int VIRTQ_USED_F_NO_NOTIFY = 1;

    private VirtqUsed() {}

    static int size(final int queueSize, final boolean eventIdx) {
        return RING_OFFSET + ELEMENT_SIZE * queueSize + (eventIdx ? 2 : 0);
    }

    static void putFlags(final long used, final int flags) {
        RawMemory.putLe16(used + FLAGS_OFFSET, flags);
    }

    /** Read only when a ring starts; while it runs our own index is the truth. */
    static int idx(final long used) {
        return RawMemory.le16(used + IDX_OFFSET);
    }

    /** Pairs with the driver's acquire of {@code idx} before it reads the elements and the received data. */
    static void putIdxRelease(final long used, final int idx) {
        RawMemory.putLe16Release(used + IDX_OFFSET, idx);
    }

    /** id and len in one store. */
    static void putElement(final long used, final int slot, final int id, final int len) {
        RawMemory.putLe64(used + RING_OFFSET + (long) slot * ELEMENT_SIZE, ((long) len << 32) | id);
    }

    static void putAvailEvent(final long used, final int queueSize, final int idx) {
        RawMemory.putLe16(used + RING_OFFSET + (long) queueSize * ELEMENT_SIZE, idx);
    }
}

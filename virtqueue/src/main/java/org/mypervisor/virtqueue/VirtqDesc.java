package org.mypervisor.virtqueue;

/**
 * Layout of one descriptor of a split ring, virtio 1.2 §2.7.5.
 *
 * <pre>
 * struct virtq_desc { le64 addr; le32 len; le16 flags; le16 next; };
 * </pre>
 *
 * <p>A descriptor is read in two 8-byte loads: its address, and the other three fields in one word. Taking them from
 * one load means that a guest that rewrites them meanwhile cannot make us judge one value and use another.
 */
final class VirtqDesc {
    static final int SIZE = 16;
    static final int ALIGNMENT = 16;

    static final int ADDR_OFFSET = 0;
    static final int LEN_FLAGS_NEXT_OFFSET = 8;

    static final int VIRTQ_DESC_F_NEXT = 1;
    static final int VIRTQ_DESC_F_WRITE = 2;
    static final int VIRTQ_DESC_F_INDIRECT = 4;

    /** The flags that say what kind of descriptor it is; others mean nothing. */
    static final int KIND_MASK = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT;

    private VirtqDesc() {}

    static long addr(final long desc) {
        return RawMemory.le64(desc + ADDR_OFFSET);
    }

    static long lenFlagsNext(final long desc) {
        return RawMemory.le64(desc + LEN_FLAGS_NEXT_OFFSET);
    }

    /** 0..2^32-1. */
    static long len(final long lenFlagsNext) {
        return lenFlagsNext & 0xFFFF_FFFFL;
    }

    static int flags(final long lenFlagsNext) {
        return (int) (lenFlagsNext >>> 32) & 0xFFFF;
    }

    static int next(final long lenFlagsNext) {
        return (int) (lenFlagsNext >>> 48);
    }
}

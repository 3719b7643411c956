package org.mypervisor.virtqueue;

/**
 * Layout of one descriptor of a packed ring, virtio 1.2 §2.8.10; the driver's and the device's in the same place.
 *
 * <pre>
 * struct pvirtq_desc { le64 addr; le32 len; le16 id; le16 flags; };
 * </pre>
 *
 * <p>len, id and flags are one aligned word, loaded and stored at once: a used descriptor appears as a whole.
 */
final class PackedDesc {
    static final int SIZE = 16;
    static final int ALIGNMENT = 16;

    static final int ADDR_OFFSET = 0;
    static final int LEN_ID_FLAGS_OFFSET = 8;
    static final int FLAGS_OFFSET = 14;

    static final int VIRTQ_DESC_F_AVAIL = 1 << 7;
    static final int VIRTQ_DESC_F_USED = 1 << 15;

    static final int LAP_MASK = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;

    /** Flags of which kind a descriptor is, and whether it is available; others mean nothing. */
    static final int KIND_MASK = VirtqDesc.KIND_MASK | LAP_MASK;

    private PackedDesc() {}

    static long addr(final long desc) {
        return RawMemory.le64(desc + ADDR_OFFSET);
    }

    /** Pairs with the driver's release of the flags of a chain's first descriptor. */
    static long lenIdFlagsAcquire(final long desc) {
        return RawMemory.le64Acquire(desc + LEN_ID_FLAGS_OFFSET);
    }

    static long lenIdFlags(final long desc) {
        return RawMemory.le64(desc + LEN_ID_FLAGS_OFFSET);
    }

    static void putLenIdFlags(final long desc, final long word) {
        RawMemory.putLe64(desc + LEN_ID_FLAGS_OFFSET, word);
    }

    /** Pairs with the driver's acquire of the flags before it reads len, id and the received data. */
    static void putLenIdFlagsRelease(final long desc, final long word) {
        RawMemory.putLe64Release(desc + LEN_ID_FLAGS_OFFSET, word);
    }

    /** Gives USED the value of AVAIL and changes nothing else. */
    static void markUsed(final long desc) {
        final int flags = RawMemory.le16(desc + FLAGS_OFFSET);
        RawMemory.putLe16(
                desc + FLAGS_OFFSET, availBit(flags) ? flags | VIRTQ_DESC_F_USED : flags & ~VIRTQ_DESC_F_USED);
    }

    /** 0..2^32-1. */
    static long len(final long lenIdFlags) {
        return lenIdFlags & 0xFFFF_FFFFL;
    }

    static int id(final long lenIdFlags) {
        return (int) (lenIdFlags >>> 32) & 0xFFFF;
    }

    static int flags(final long lenIdFlags) {
        return (int) (lenIdFlags >>> 48);
    }

    static long word(final int len, final int id, final int flags) {
        return (long) flags << 48 | (long) id << 32 | (len & 0xFFFF_FFFFL);
    }

    /** The driver's wrap counter when it wrote the descriptor; a device leaves it as it is. */
    static boolean availBit(final int flags) {
        return (flags & VIRTQ_DESC_F_AVAIL) != 0;
    }

    static boolean usedBit(final int flags) {
        return (flags & VIRTQ_DESC_F_USED) != 0;
    }

    /** virtio 1.2 §2.8.1: available in the lap with this wrap counter. */
    static boolean isAvailable(final int flags, final boolean wrap) {
        return availBit(flags) == wrap && usedBit(flags) != wrap;
    }

    /** What {@link #LAP_MASK} shows of the flags of a descriptor that is available in the lap with this wrap counter. */
    static int availableFlags(final boolean wrap) {
        return wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
    }

    /** virtio 1.2 §2.8.1: used in the lap with this wrap counter. */
    static boolean isUsed(final int flags, final boolean wrap) {
        return availBit(flags) == wrap && usedBit(flags) == wrap;
    }

    /** Flags of a used descriptor; WRITE says that {@code len} has a meaning, §2.8.5. */
    static int usedFlags(final boolean wrap, final int len) {
        return (wrap ? VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED : 0) | (len != 0 ? VirtqDesc.VIRTQ_DESC_F_WRITE : 0);
    }
}

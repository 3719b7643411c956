package org.mypervisor.driversim;

/**
 * The base of a packed virtqueue as SET_VRING_BASE and GET_VRING_BASE carry it: bits 0-14 the next available
 * descriptor, 15 the driver's wrap counter there, 16-30 the next used descriptor, 31 the device's wrap counter there.
 */
public record PackedBase(int availIdx, boolean availWrap, int usedIdx, boolean usedWrap) {
    /** A fresh ring, as QEMU says it. */
    public static final int FIRST = 0x8000_8000;

    private static final int WRAP = 0x8000;

    /** Takes the 32 bits apart. If the upper half is missing (virtio-user, DPDK), used stands where available does. */
    public static PackedBase of(final int base) {
        final int avail = base & 0xFFFF;
        final int used = base >>> 16 == 0 ? avail : base >>> 16;
        return new PackedBase(avail & WRAP - 1, (avail & WRAP) != 0, used & WRAP - 1, (used & WRAP) != 0);
    }

    /** The 32 bits, both halves present. */
    public int encode() {
        return half(availIdx, availWrap) | half(usedIdx, usedWrap) << 16;
    }

    /** An offset and its wrap counter in 16 bits, which is also the form of an event suppression offset. */
    static int half(final int offset, final boolean wrap) {
        return offset | (wrap ? WRAP : 0);
    }
}

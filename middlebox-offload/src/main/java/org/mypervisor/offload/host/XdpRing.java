package org.mypervisor.offload.host;

import org.mypervisor.virtqueue.RawMemory;

/**
 * One of the four rings of an XDP socket, in memory that the kernel shares with us: one side produces entries, the other
 * consumes them. Both count on without end, modulo 2^32, and each writes its own index only.
 *
 * <p>Entries are written or read first, then {@link #publish} shows it. Owned by one thread. Nothing here allocates.
 *
 * @see <a href="https://docs.kernel.org/networking/af_xdp.html">the kernel's documentation</a>
 */
final class XdpRing {
    private static final int NEED_WAKEUP = 1;

    private final long ownIndex;
    private final long otherIndex;
    private final long flags;
    private final long entries;
    private final int entrySize;
    private final int mask;

    /** How far we may be ahead of the other side: all of the ring where we produce, nothing where we consume. */
    private final int lead;

    private int own;
    /** The other side's index when it was loaded last. */
    private int other;

    private XdpRing(final long[] addresses, final int size, final int entrySize, final int lead) {
        this.ownIndex = addresses[0];
        this.otherIndex = addresses[1];
        this.flags = addresses[2];
        this.entries = addresses[3];
        this.mask = size - 1;
        this.entrySize = entrySize;
        this.lead = lead;
    }

    /**
     * A ring whose entries we write.
     *
     * @param ring address of the mapped ring
     * @param offsets struct xdp_ring_offset { u64 producer, consumer, desc, flags; }
     * @param size entries, a power of two
     * @param entrySize bytes of an entry
     */
    static XdpRing produced(final long ring, final long offsets, final int size, final int entrySize) {
        return new XdpRing(addresses(ring, offsets, 0, 1), size, entrySize, size);
    }

    /** A ring whose entries the kernel writes; else as {@link #produced}. */
    static XdpRing consumed(final long ring, final long offsets, final int size, final int entrySize) {
        return new XdpRing(addresses(ring, offsets, 1, 0), size, entrySize, 0);
    }

    private static long[] addresses(final long ring, final long offsets, final int own, final int other) {
        return new long[] {
            ring + RawMemory.le64(offsets + own * Long.BYTES),
            ring + RawMemory.le64(offsets + other * Long.BYTES),
            ring + RawMemory.le64(offsets + 3 * Long.BYTES),
            ring + RawMemory.le64(offsets + 2 * Long.BYTES)
        };
    }

    /**
     * How many entries we may read, or write; looks again if those known of are fewer than wanted. The load pairs with the
     * kernel's release of its index.
     */
    int available(final int wanted) {
        if (other + lead - own < wanted) {
            other = (int) RawMemory.le32Acquire(otherIndex);
        }
        return other + lead - own;
    }

    /** Entries that we wrote and the kernel has not consumed yet. */
    int pending() {
        other = (int) RawMemory.le32Acquire(otherIndex);
        return own - other;
    }

    /** The address of one of the entries that are {@link #available}. */
    long entry(final int ahead) {
        return entries + (long) (own + ahead & mask) * entrySize;
    }

    /** One more is written, or read. */
    void advance() {
        own++;
    }

    /** Shows the kernel how far we are; pairs with its acquire of our index. */
    void publish() {
        RawMemory.putLe32Release(ownIndex, own);
    }

    /** Whether the kernel has to be told of what was published; else it looks for itself. */
    boolean needsWakeup() {
        // Our index must be seen before the flag is looked at, or both sides wait for each other.
        RawMemory.fullFence();
        return (RawMemory.le32(flags) & NEED_WAKEUP) != 0;
    }
}

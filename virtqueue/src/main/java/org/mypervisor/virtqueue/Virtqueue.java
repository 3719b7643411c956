package org.mypervisor.virtqueue;

/**
 * The device side of one virtqueue, in either of the two formats of virtio 1.2: {@link SplitVirtqueue} (§2.7) or
 * {@link PackedVirtqueue} (§2.8).
 *
 * <p>Owned by one worker thread, except {@link #base}, which other threads may read once the worker has let go of the
 * queue. The memory table must stay mapped until then.
 */
public abstract sealed class Virtqueue extends BufferQueue permits SplitVirtqueue, PackedVirtqueue {
    final boolean eventIdx;
    final DescriptorChain chain;
    final BufferBurst burst;

    Virtqueue(final GuestMemory memory, final VringLayout layout) {
        super(layout.size(), layout.features());
        eventIdx = VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_F_EVENT_IDX);
        chain = new DescriptorChain(memory, size, layout.writable());
        burst = new BufferBurst(memory, layout.writable());
    }

    @Override
    public final BufferBurst burst() {
        return burst;
    }

    /**
     * Translates and validates a queue of the format that was negotiated.
     *
     * @throws IllegalArgumentException when its size is wrong, a part is misaligned or not wholly mapped, or the index at
     *     which it goes on is lost; the message says which and what helps
     */
    public static Virtqueue of(final GuestMemory memory, final VringLayout layout) {
        return VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_F_RING_PACKED)
                ? new PackedVirtqueue(memory, layout)
                : new SplitVirtqueue(memory, layout);
    }

    /** Host address of a part of a queue. */
    static long part(
            final GuestMemory memory, final String name, final long uva, final int bytes, final int alignment) {
        final long host = memory.translateUva(uva, bytes);
        if (host == GuestMemory.UNMAPPED) {
            throw new IllegalArgumentException(
                    "%s at 0x%x, %d bytes, is not in shared memory".formatted(name, uva, bytes));
        }
        if (host % alignment != 0) {
            throw new IllegalArgumentException("%s at 0x%x is not aligned to %d".formatted(name, uva, alignment));
        }
        return host;
    }

    /** Where the queue goes on, encoded as GET_VRING_BASE answers it; for the successor of this object too. */
    public abstract int base();

    /** Whether something was completed that the driver does not see yet. */
    public abstract boolean hasUnpublished();

    /** Shows the driver all that was completed, at once; pairs with the driver's acquire. */
    @Override
    public abstract void publish();

    /**
     * Whether the driver wants a call for what was published since the last {@link #callDecided}.
     *
     * <p>A full fence orders what we published before our load of the driver's wish; it pairs with the driver's own
     * between storing the wish and looking for used buffers once more.
     */
    public abstract boolean isCallNeeded();

    /** The driver was called for what was published, or found not to want that. */
    public abstract void callDecided();

    /**
     * Asks the driver to kick for the next chain, before we sleep.
     *
     * <p>A full fence orders the wish before the last look; it pairs with the driver's between making a chain available
     * and loading our wish.
     *
     * @return whether a chain is available all the same: then do not sleep
     */
    @Override
    public abstract boolean enableKicks();

    @Override
    public abstract boolean isWhole(MemoryProbe probe);
}

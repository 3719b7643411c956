package org.mypervisor.virtqueue;

/**
 * The device side of one virtqueue, in either of the two formats of virtio 1.2: {@link SplitVirtqueue} (§2.7) or
 * {@link PackedVirtqueue} (§2.8).
 *
 * <p>Chains are completed in the order in which they were made available. {@link #newChain} goes back to the first chain
 * that is not completed, each {@link #append} looks at the next one and moves on, and {@link #complete} takes the oldest
 * of those looked at; the driver sees that at {@link #publish}. Looking changes nothing, so a burst that is broken off
 * half way leaves no trace.
 *
 * <p>Owned by one worker thread, except {@link #fault} and {@link #base}, which other threads may read, the latter once
 * the worker has let go of the queue. The memory table must stay mapped until then. Nothing here allocates or throws
 * once the queue is made.
 */
public abstract sealed class Virtqueue permits SplitVirtqueue, PackedVirtqueue {
    /** Chains that can be looked at and not completed at any time; even buffers of 64 bytes hold the longest frame. */
    public static final int MAX_APPENDED = 1024;

    final int size;
    final boolean eventIdx;
    final DescriptorChain chain;
    private final int netHdrSize;
    private final boolean mergeable;
    private final long features;
    private volatile RingFault fault;

    Virtqueue(final GuestMemory memory, final VringLayout layout) {
        size = layout.size();
        features = layout.features();
        eventIdx = VirtioFeatures.has(features, VirtioFeatures.VIRTIO_F_EVENT_IDX);
        netHdrSize = VirtioNetHdr.size(features);
        mergeable = VirtioFeatures.has(features, VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF);
        chain = new DescriptorChain(memory, size, layout.writable());
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

    /** Descriptors of the queue. */
    public final int size() {
        return size;
    }

    /** The virtio features negotiated for it. */
    public final long features() {
        return features;
    }

    /** Bytes of the virtio-net header in front of each frame. */
    public final int netHdrSize() {
        return netHdrSize;
    }

    /** Whether one frame may fill several receive buffers. */
    public final boolean isMergeable() {
        return mergeable;
    }

    /** Why the queue is broken, or null. A broken queue is left alone until it is set up again. */
    public final RingFault fault() {
        return fault;
    }

    /** Breaks the queue from outside, for instance when its memory went away. */
    public final void breakRing(final RingFault why) {
        fault = why;
    }

    /** Where the queue goes on, encoded as GET_VRING_BASE answers it; for the successor of this object too. */
    public abstract int base();

    /**
     * How many chains a turn may try to take: above 0 when there is one. A broken queue has none.
     *
     * @param most the answer's upper bound, above 0
     */
    public abstract int available(int most);

    /** Goes back to the first chain that is not completed, and empties and returns the list of buffers. */
    public abstract DescriptorChain newChain();

    /**
     * Looks at the next chain and adds its buffers to the list.
     *
     * @return false when there is none, or when it is malformed: {@link #appendFault} tells. A malformed one that did not
     *     break the queue can be completed like any other
     */
    public abstract boolean append();

    /** What was wrong with the chain of the last {@link #append} that answered false, or null: there was none. */
    public abstract RingFault appendFault();

    /**
     * Completes the oldest chain looked at. The driver does not see it before {@link #publish}.
     *
     * @param bytesWritten into its buffers; 0 for a transmitq
     * @param continuesFrame whether its buffers hold more of the frame that the chain before began; the driver then sees
     *     neither before both
     */
    public abstract void complete(int bytesWritten, boolean continuesFrame);

    /** Whether something was completed that the driver does not see yet. */
    public abstract boolean hasUnpublished();

    /** Shows the driver all that was completed; pairs with the driver's acquire. */
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

    /** Asks the driver not to kick while we poll. */
    public abstract void suppressKicks();

    /**
     * Asks the driver to kick for the next chain, before we sleep.
     *
     * <p>A full fence orders the wish before the last look; it pairs with the driver's between making a chain available
     * and loading our wish.
     *
     * @return whether a chain is available all the same: then do not sleep
     */
    public abstract boolean enableKicks();

    /** Whether every page of the queue's parts and of its chain's buffers can still be had. After a fault only. */
    public abstract boolean isWhole(MemoryProbe probe);
}

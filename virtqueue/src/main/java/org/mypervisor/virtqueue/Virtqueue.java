package org.mypervisor.virtqueue;

/**
 * The device side of one virtqueue, in either of the two formats of virtio 1.2: {@link SplitVirtqueue} (§2.7) or
 * {@link PackedVirtqueue} (§2.8).
 *
 * <p>Chains are completed in the order in which they were made available. {@link #newChain} goes back to the first chain
 * that is not completed, each {@link #append} looks at the next one and moves on, and {@link #complete} takes the oldest
 * of those looked at; the driver sees that at {@link #publish}. Looking changes nothing, so a burst that is broken off
 * half way leaves no trace. Who looks at a chain keeps its token for completing it: what the format has to know of it.
 *
 * <p>Owned by one worker thread, except {@link #fault} and {@link #base}, which other threads may read, the latter once
 * the worker has let go of the queue. The memory table must stay mapped until then. Nothing here allocates or throws
 * once the queue is made.
 */
public abstract sealed class Virtqueue permits SplitVirtqueue, PackedVirtqueue {
    /** There is no further chain. */
    public static final int NONE = -1;

    /** A chain that breaks the rules: {@link #appendFault}. */
    public static final int MALFORMED = -2;

    final int size;
    final boolean eventIdx;
    final DescriptorChain chain;
    private final int netHdrSize;
    private final boolean mergeable;
    private final long features;
    private volatile RingFault fault;
    private RingFault malformed;
    private int malformedToken;

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
     * @return its token, 0 or more; {@link #NONE} when there is no chain, or {@link #MALFORMED}
     */
    public abstract int append();

    /** What is wrong with the chain for which {@link #append} answered {@link #MALFORMED}; it may have broken the queue. */
    public final RingFault appendFault() {
        return malformed;
    }

    /** The token of that chain, if it did not break the queue: then it is completed like any other. */
    public final int malformedToken() {
        return malformedToken;
    }

    /** Notes a malformed chain for {@link #append} to answer. */
    final int malformed(final RingFault found, final int token) {
        malformed = found;
        malformedToken = token;
        if (found.breaksRing()) {
            fault = found;
        }
        return MALFORMED;
    }

    /**
     * Completes the oldest chain looked at. The driver does not see it before {@link #publish}.
     *
     * @param token of that chain
     * @param bytesWritten into its buffers; 0 for a transmitq
     */
    public abstract void complete(int token, int bytesWritten);

    /** Whether something was completed that the driver does not see yet. */
    public abstract boolean hasUnpublished();

    /** Shows the driver all that was completed, at once; pairs with the driver's acquire. */
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

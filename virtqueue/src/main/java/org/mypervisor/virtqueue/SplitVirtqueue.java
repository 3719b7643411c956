package org.mypervisor.virtqueue;

/**
 * The device side of one split ring, virtio 1.2 §2.7.
 *
 * <p>Chains are completed in the order in which they were made available, so the next available entry and the next used
 * entry always have the same free-running index: {@link #next}. Taking a chain is therefore nothing but looking at it;
 * it is taken when {@link #complete} moves the index, and the driver sees that at {@link #publish}. A burst that is
 * broken off half way leaves no trace.
 *
 * <p>Owned by one worker thread, except {@link #fault} and {@link #next}, which other threads may read, the latter once
 * the worker has let go of the ring. The memory table must stay mapped until then. Nothing here allocates or throws.
 */
public final class SplitVirtqueue {
    private final int size;
    private final int mask;
    private final long desc;
    private final long avail;
    private final long used;
    private final boolean eventIdx;
    private final int netHdrSize;
    private final boolean mergeable;
    private final DescriptorChain chain;

    /** Free-running index of the next entry in both rings, 0..65535. */
    private int next;
    /** avail.idx as last seen. */
    private int availIdx;
    /** used.idx as the driver sees it. */
    private int publishedIdx;
    /** used.idx when the driver was last told or found not to want to be told; meaningless before the first time. */
    private int signalledIdx;

    private boolean signalledOnce;
    private volatile RingFault fault;

    /**
     * Translates and validates the ring, virtio 1.2 §2.7 (sizes and alignments).
     *
     * <p>Both indices resume at {@code used.idx}: everything before it has been completed, and nothing behind it has,
     * because we complete in order (also after a crash of a former process).
     *
     * @throws IllegalArgumentException when a part is misaligned or not wholly mapped; the message names it
     */
    public SplitVirtqueue(final GuestMemory memory, final VringLayout layout) {
        size = layout.size();
        mask = size - 1;
        eventIdx = VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_F_EVENT_IDX);
        netHdrSize = VirtioNetHdr.size(layout.features());
        mergeable = VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF);
        if (!VringLayout.isValidSize(size)) {
            throw new IllegalArgumentException(
                    "size=%d, must be a power of two up to %d".formatted(size, VringLayout.MAX_SIZE));
        }
        desc = ringPart(memory, "desc", layout.descUva(), size * VirtqDesc.SIZE, VirtqDesc.ALIGNMENT);
        avail = ringPart(memory, "avail", layout.availUva(), VirtqAvail.size(size, eventIdx), VirtqAvail.ALIGNMENT);
        used = ringPart(memory, "used", layout.usedUva(), VirtqUsed.size(size, eventIdx), VirtqUsed.ALIGNMENT);
        chain = new DescriptorChain(
                memory,
                size,
                layout.writable(),
                VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_F_INDIRECT_DESC));
        next = VirtqUsed.idx(used);
        availIdx = next;
        publishedIdx = next;
        suppressKicks();
    }

    private static long ringPart(
            final GuestMemory memory, final String name, final long uva, final int bytes, final int alignment) {
        final long host = memory.translateUva(uva, bytes);
        if (host == GuestMemory.UNMAPPED) {
            throw new IllegalArgumentException(
                    "%s ring at 0x%x, %d bytes, is not in shared memory".formatted(name, uva, bytes));
        }
        if (host % alignment != 0) {
            throw new IllegalArgumentException("%s ring at 0x%x is not aligned to %d".formatted(name, uva, alignment));
        }
        return host;
    }

    /** Entries of the ring. */
    public int size() {
        return size;
    }

    /** Bytes of the virtio-net header in front of each frame. */
    public int netHdrSize() {
        return netHdrSize;
    }

    /** Whether one frame may fill several receive buffers. */
    public boolean isMergeable() {
        return mergeable;
    }

    /** Index at which the ring goes on, for GET_VRING_BASE and for the successor of this object. */
    public int next() {
        return next;
    }

    /** Why the ring is broken, or null. A broken ring is left alone until it is set up again. */
    public RingFault fault() {
        return fault;
    }

    /** Breaks the ring from outside, for instance when its memory went away. */
    public void breakRing(final RingFault why) {
        fault = why;
    }

    /**
     * Chains that the driver made available and that are not completed, 0..size. Looks at the driver's index only when
     * those known are used up. A broken ring has none.
     */
    public int available() {
        final int known = (availIdx - next) & 0xFFFF;
        return known != 0 && fault == null ? known : refreshAvailable();
    }

    /**
     * As {@link #available}, looking at the driver's index in any case. An index that jumps or goes back breaks the
     * ring, so the answer never shrinks while nothing is completed.
     */
    public int refreshAvailable() {
        if (fault != null) {
            return 0;
        }
        final int known = (availIdx - next) & 0xFFFF;
        final int idx = VirtqAvail.idxAcquire(avail);
        final int count = (idx - next) & 0xFFFF;
        if (count > size || count < known) {
            fault = RingFault.AVAIL_IDX_JUMP;
            return 0;
        }
        availIdx = idx;
        return count;
    }

    /**
     * Head of an available chain.
     *
     * @param ahead 0 for the next chain, below {@link #available}
     */
    public int head(final int ahead) {
        return VirtqAvail.head(avail, (next + ahead) & mask);
    }

    /** Empties and returns this ring's chain, to be filled by {@link #append}. */
    public DescriptorChain newChain() {
        chain.clear();
        return chain;
    }

    /**
     * Adds the buffers of the chain at {@code head}, as loaded by {@link #head}, to this ring's chain.
     *
     * @return null, or what is wrong with the chain; the ring may be broken then
     */
    public RingFault append(final int head) {
        if (head < size && chain.append(desc, size, head)) {
            return null;
        }
        final RingFault chainFault = head < size ? chain.fault() : RingFault.INDEX_OUT_OF_RANGE;
        if (chainFault.breaksRing()) {
            fault = chainFault;
        }
        return chainFault;
    }

    /**
     * Completes the next chain. The driver does not see it before {@link #publish}.
     *
     * @param head as loaded by {@link #head}, below the queue's size
     * @param bytesWritten into its buffers; 0 for a transmitq
     */
    public void complete(final int head, final int bytesWritten) {
        VirtqUsed.putElement(used, next & mask, head, bytesWritten);
        next = (next + 1) & 0xFFFF;
    }

    /** Whether something was completed that the driver does not see yet. */
    public boolean hasUnpublished() {
        return publishedIdx != next;
    }

    /** Shows the driver all that was completed; its acquire of {@code used.idx} pairs with our release. */
    public void publish() {
        VirtqUsed.putIdxRelease(used, next);
        publishedIdx = next;
    }

    /**
     * Whether the driver wants a call for what was published since the last {@link #callDecided}, virtio 1.2 §2.7.7.
     *
     * <p>The fence orders our store of {@code used.idx} before our load of the driver's wish; it pairs with the driver's
     * own between storing the wish and looking at {@code used.idx} once more.
     */
    public boolean isCallNeeded() {
        RawMemory.fullFence();
        if (!eventIdx) {
            return (VirtqAvail.flags(avail) & VirtqAvail.VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
        }
        final int usedEvent = VirtqAvail.usedEvent(avail, size);
        return !signalledOnce || ((publishedIdx - usedEvent - 1) & 0xFFFF) < ((publishedIdx - signalledIdx) & 0xFFFF);
    }

    /** The driver was called for what was published, or found not to want that. */
    public void callDecided() {
        signalledIdx = publishedIdx;
        signalledOnce = true;
    }

    /**
     * Asks the driver not to kick while we poll, virtio 1.2 §2.7.10. With VIRTIO_F_EVENT_IDX it is enough to leave
     * {@code avail_event} behind.
     */
    public void suppressKicks() {
        if (fault == null) {
            VirtqUsed.putFlags(used, eventIdx ? 0 : VirtqUsed.VIRTQ_USED_F_NO_NOTIFY);
        }
    }

    /**
     * Asks the driver to kick for the next chain, before we sleep.
     *
     * <p>The fence orders the wish before the last look; it pairs with the driver's between storing {@code avail.idx} and
     * loading our wish.
     *
     * @return chains that are available all the same: do not sleep when above 0
     */
    public int enableKicks() {
        if (fault != null) {
            return 0;
        }
        if (eventIdx) {
            VirtqUsed.putAvailEvent(used, size, next);
        } else {
            VirtqUsed.putFlags(used, 0);
        }
        RawMemory.fullFence();
        return refreshAvailable();
    }

    /** Whether every page of the ring's parts and of its chain's buffers can still be had. After a fault only. */
    public boolean isWhole(final MemoryProbe probe) {
        return probe.isReadable(desc, (long) size * VirtqDesc.SIZE)
                && probe.isReadable(avail, VirtqAvail.size(size, eventIdx))
                && probe.isWritable(used, VirtqUsed.size(size, eventIdx))
                && chain.isWhole(probe);
    }
}

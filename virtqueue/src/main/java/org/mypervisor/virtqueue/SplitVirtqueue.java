package org.mypervisor.virtqueue;

/**
 * The device side of one split ring, virtio 1.2 §2.7.
 *
 * <p>Because chains are completed in order, the next available entry and the next used entry always have the same
 * free-running index: {@link #next}.
 */
public final class SplitVirtqueue extends Virtqueue {
    private final int mask;
    private final long desc;
    private final long avail;
    private final long used;
    private final boolean writable;
    private final SplitDescriptors descriptors;

    /** Free-running index of the available entry to be looked at next, 0..65535. */
    private int cursor;
    /** Free-running index of the next entry in both rings, 0..65535. */
    private int next;
    /** avail.idx as last seen. */
    private int availIdx;
    /** used.idx as the driver sees it. */
    private int publishedIdx;
    /** used.idx when the driver was last told or found not to want to be told; meaningless before the first time. */
    private int signalledIdx;

    private boolean signalledOnce;

    /**
     * Translates and validates the ring, virtio 1.2 §2.7 (sizes and alignments).
     *
     * <p>Both indices resume at {@code used.idx}, whatever the front-end says: everything before it has been completed,
     * and nothing behind it has, because we complete in order (also after a crash of a former process).
     */
    SplitVirtqueue(final GuestMemory memory, final VringLayout layout) {
        super(memory, layout);
        if (!VringLayout.isValidSize(size, false)) {
            throw new IllegalArgumentException(
                    "size=%d, must be a power of two up to %d".formatted(size, VringLayout.MAX_SIZE));
        }
        mask = size - 1;
        writable = layout.writable();
        desc = part(memory, "desc ring", layout.descUva(), size * VirtqDesc.SIZE, VirtqDesc.ALIGNMENT);
        avail = part(memory, "avail ring", layout.availUva(), VirtqAvail.size(size, eventIdx), VirtqAvail.ALIGNMENT);
        used = part(memory, "used ring", layout.usedUva(), VirtqUsed.size(size, eventIdx), VirtqUsed.ALIGNMENT);
        descriptors = new SplitDescriptors(
                memory, VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_F_INDIRECT_DESC));
        next = VirtqUsed.idx(used);
        cursor = next;
        availIdx = next;
        publishedIdx = next;
        suppressKicks();
    }

    @Override
    public int base() {
        return next;
    }

    @Override
    public int available(final int most) {
        final int known = (availIdx - next) & 0xFFFF;
        return Math.min(known >= most && fault() == null ? known : refreshAvailable(), most);
    }

    @Override
    public boolean isAvailable(final int count) {
        return available(count) == count;
    }

    /**
     * Chains that are not completed, 0..size, by the driver's own index. An index that jumps or goes back breaks the
     * ring, so the answer never shrinks while nothing is completed.
     */
    private int refreshAvailable() {
        if (fault() != null) {
            return 0;
        }
        final int known = (availIdx - next) & 0xFFFF;
        final int idx = VirtqAvail.idxAcquire(avail);
        final int count = (idx - next) & 0xFFFF;
        if (count > size || count < known) {
            breakRing(RingFault.AVAIL_IDX_JUMP);
            return 0;
        }
        availIdx = idx;
        return count;
    }

    @Override
    public int look(final int most) {
        final int count = available(most);
        return burst.end(writable ? lookForwards(count) : lookBackwards(count));
    }

    private int lookForwards(final int count) {
        for (int i = 0; i < count; i++) {
            if (!note(i)) {
                return i;
            }
        }
        return count;
    }

    /**
     * For a transmitq. The processor loads ahead of whoever goes through memory. Forwards that is what the driver writes at
     * this moment, and it would have to get the cache lines back; backwards it is chains that are done. An unusual chain is
     * no end: those before it are still to be noted.
     */
    private int lookBackwards(final int count) {
        int usual = count;
        for (int i = count - 1; i >= 0; i--) {
            if (!note(i)) {
                usual = i;
            }
        }
        return usual;
    }

    /** Notes the chain so many behind the next one in {@link #burst}; false when it is not of the usual kind. */
    private boolean note(final int index) {
        final int head = VirtqAvail.head(avail, (next + index) & mask);
        // Unsigned: a load from a page that is gone leaves anything in its register, even a negative le16.
        if (Integer.compareUnsigned(head, size) >= 0) {
            return false;
        }
        final long address = desc + (long) head * VirtqDesc.SIZE;
        final long word = VirtqDesc.lenFlagsNext(address);
        return (VirtqDesc.flags(word) & VirtqDesc.KIND_MASK) == burst.flags()
                && burst.set(index, VirtqDesc.addr(address), VirtqDesc.len(word), head);
    }

    @Override
    public void completeBurst(final int count) {
        final BufferBurst done = burst;
        for (int i = 0; i < count; i++) {
            VirtqUsed.putElement(used, (next + i) & mask, done.token(i), done.written(i));
        }
        next = (next + count) & 0xFFFF;
        done.complete();
    }

    @Override
    public DescriptorChain newChain() {
        cursor = next;
        chain.clear();
        return chain;
    }

    @Override
    public int append() {
        if (cursor == availIdx && !isMoreAvailable()) {
            return NONE;
        }
        final int head = VirtqAvail.head(avail, cursor & mask);
        cursor = (cursor + 1) & 0xFFFF;
        final RingFault found = descriptors.append(chain, desc, size, head);
        return found == null ? head : malformed(found, head);
    }

    private boolean isMoreAvailable() {
        refreshAvailable();
        return cursor != availIdx && fault() == null;
    }

    /** @param head the token of a split ring's chain is its first descriptor */
    @Override
    public void complete(final int head, final int bytesWritten) {
        VirtqUsed.putElement(used, next & mask, head, bytesWritten);
        next = (next + 1) & 0xFFFF;
    }

    @Override
    public boolean hasUnpublished() {
        return publishedIdx != next;
    }

    @Override
    public void publish() {
        VirtqUsed.putIdxRelease(used, next);
        publishedIdx = next;
    }

    /** virtio 1.2 §2.7.7. */
    @Override
    public boolean isCallNeeded() {
        RawMemory.fullFence();
        if (!eventIdx) {
            return (VirtqAvail.flags(avail) & VirtqAvail.VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
        }
        final int usedEvent = VirtqAvail.usedEvent(avail, size);
        return !signalledOnce || ((publishedIdx - usedEvent - 1) & 0xFFFF) < ((publishedIdx - signalledIdx) & 0xFFFF);
    }

    @Override
    public void callDecided() {
        signalledIdx = publishedIdx;
        signalledOnce = true;
    }

    /** virtio 1.2 §2.7.10. With VIRTIO_F_EVENT_IDX it is enough to leave {@code avail_event} behind. */
    @Override
    public void suppressKicks() {
        if (fault() == null) {
            VirtqUsed.putFlags(used, eventIdx ? 0 : VirtqUsed.VIRTQ_USED_F_NO_NOTIFY);
        }
    }

    @Override
    public boolean enableKicks() {
        if (fault() != null) {
            return false;
        }
        if (eventIdx) {
            VirtqUsed.putAvailEvent(used, size, next);
        } else {
            VirtqUsed.putFlags(used, 0);
        }
        RawMemory.fullFence();
        return refreshAvailable() != 0;
    }

    @Override
    public boolean isWhole(final MemoryProbe probe) {
        return probe.isReadable(desc, (long) size * VirtqDesc.SIZE)
                && probe.isReadable(avail, VirtqAvail.size(size, eventIdx))
                && probe.isWritable(used, VirtqUsed.size(size, eventIdx))
                && descriptors.isWhole(probe)
                && chain.isWhole(probe)
                && burst.isWhole(probe);
    }
}

package org.mypervisor.virtqueue;

/**
 * The device side of one packed ring, virtio 1.2 §2.8.
 *
 * <p>Because chains are completed in order, a chain's used descriptor takes the place of its first available one, and
 * one position serves for both: {@link #next} in the lap {@link #wrap}.
 *
 * <p>Used descriptors are kept back until {@link #publish} and then written in their order, and the descriptors that a
 * driver skips are marked too, so that whenever this process ends, the ring says how far it got
 * ({@link PackedPosition}).
 */
public final class PackedVirtqueue extends Virtqueue {
    /** In a pending slot: the driver must not see it before the one ahead of it. */
    private static final int CONTINUES = 1 << 31;

    private final long desc;
    private final long driverEvent;
    private final long deviceEvent;
    private final boolean writable;
    private final PackedDescriptors descriptors;

    /** The chains looked at; {@link #completed} of them are completed. */
    private final int[] ids;

    private final int[] counts;
    private int appended;
    private int completed;
    /** Where the next chain to look at begins. */
    private int cursor;

    private boolean cursorWrap;

    /** Where the first chain begins that is not completed. */
    private int next;

    private boolean wrap = true;
    /** Descriptors from the first one that is not published to the cursor: they cannot be available once more. */
    private int unpublished;
    /** The same up to {@link #next}. */
    private int unpublishedCompleted;

    private final int[] pendingSlots;
    private final long[] pendingWords;
    private int pending;
    /** How many of them are written already, should a fault of another ring interrupt that. */
    private int written;

    /** Position when the driver was last told or found not to want to be told; meaningless before the first time. */
    private int signalled;

    private boolean signalledOnce;
    private RingFault appendFault;

    /** Translates and validates the ring, virtio 1.2 §2.8 and §2.8.10 (sizes and alignments), and finds where it goes on. */
    PackedVirtqueue(final GuestMemory memory, final VringLayout layout) {
        super(memory, layout);
        if (!VringLayout.isValidSize(size, true)) {
            throw new IllegalArgumentException("size=%d, must be 1..%d".formatted(size, VringLayout.MAX_SIZE));
        }
        writable = layout.writable();
        desc = part(memory, "desc ring", layout.descUva(), size * PackedDesc.SIZE, PackedDesc.ALIGNMENT);
        driverEvent = part(memory, "driver event area", layout.availUva(), PackedEvent.SIZE, PackedEvent.ALIGNMENT);
        deviceEvent = part(memory, "device event area", layout.usedUva(), PackedEvent.SIZE, PackedEvent.ALIGNMENT);
        descriptors = new PackedDescriptors(
                chain,
                memory,
                desc,
                size,
                VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_F_INDIRECT_DESC));
        ids = new int[Math.min(size, MAX_APPENDED)];
        counts = new int[ids.length];
        pendingSlots = new int[size];
        pendingWords = new long[size];
        final int given = layout.base() >>> 16;
        final int position = layout.baseIsOurs() ? given : PackedPosition.find(desc, size, given);
        next = PackedEvent.off(position);
        wrap = PackedEvent.wrap(position);
        if (next >= size) {
            throw new IllegalArgumentException("base index %d in a ring of %d".formatted(next, size));
        }
        newChain();
        suppressKicks();
    }

    /** Available and used index with their wrap counters: 15 + 1 + 15 + 1 bits. */
    @Override
    public int base() {
        final int position = PackedEvent.offWrap(next, wrap);
        return position << 16 | position;
    }

    /** One look does not tell how many there are. */
    @Override
    public int available(final int most) {
        return fault() == null
                        && unpublishedCompleted < size
                        && PackedDesc.isAvailable(PackedDesc.flags(PackedDesc.lenIdFlagsAcquire(address(next))), wrap)
                ? most
                : 0;
    }

    private long address(final int slot) {
        return desc + (long) slot * PackedDesc.SIZE;
    }

    @Override
    public DescriptorChain newChain() {
        appended = 0;
        completed = 0;
        cursor = next;
        cursorWrap = wrap;
        unpublished = unpublishedCompleted;
        chain.clear();
        return chain;
    }

    @Override
    public boolean append() {
        appendFault = null;
        // A driver that goes on around a ring that is full must not make us do so.
        if (fault() != null || appended == ids.length || unpublished == size) {
            return false;
        }
        final long word = PackedDesc.lenIdFlagsAcquire(address(cursor));
        if (!PackedDesc.isAvailable(PackedDesc.flags(word), cursorWrap)) {
            return false;
        }
        appendFault = descriptors.append(cursor, word, size - unpublished);
        if (appendFault != null && appendFault.breaksRing()) {
            breakRing(appendFault);
            return false;
        }
        final int count = descriptors.count();
        ids[appended] = descriptors.id();
        counts[appended] = count;
        appended++;
        unpublished += count;
        cursor += count;
        if (cursor >= size) {
            cursor -= size;
            cursorWrap = !cursorWrap;
        }
        return appendFault == null;
    }

    @Override
    public RingFault appendFault() {
        return appendFault;
    }

    /** virtio 1.2 §2.8.6: one used descriptor for a chain; the driver skips the others of the chain. */
    @Override
    public void complete(final int bytesWritten, final boolean continuesFrame) {
        final int len = writable ? bytesWritten : 0;
        pendingWords[pending] = PackedDesc.word(len, ids[completed], PackedDesc.usedFlags(wrap, len));
        pendingSlots[pending] = continuesFrame ? next | CONTINUES : next;
        pending++;
        final int count = counts[completed++];
        if (count != 1) {
            markSkipped(count);
        }
        unpublishedCompleted += count;
        next += count;
        if (next >= size) {
            next -= size;
            wrap = !wrap;
        }
    }

    /**
     * Marks the descriptors behind a chain's first one as used, while they are still ours: for whoever takes the ring over.
     * NEXT stays, in case the chain must be done once more.
     */
    private void markSkipped(final int count) {
        for (int i = 1; i < count; i++) {
            final int slot = next + i < size ? next + i : next + i - size;
            PackedDesc.markUsed(address(slot));
        }
    }

    @Override
    public boolean hasUnpublished() {
        return pending != 0;
    }

    /** In order, but the first of several that hold one frame behind the others of it. */
    @Override
    public void publish() {
        while (written < pending) {
            int end = written + 1;
            for (; end < pending && pendingSlots[end] < 0; end++) {
                PackedDesc.putLenIdFlags(address(pendingSlots[end] & ~CONTINUES), pendingWords[end]);
            }
            PackedDesc.putLenIdFlagsRelease(address(pendingSlots[written] & ~CONTINUES), pendingWords[written]);
            written = end;
        }
        pending = 0;
        written = 0;
        unpublished -= unpublishedCompleted;
        unpublishedCompleted = 0;
    }

    /** virtio 1.2 §2.8.14. */
    @Override
    public boolean isCallNeeded() {
        RawMemory.fullFence();
        final int event = PackedEvent.load(driverEvent);
        final int flags = PackedEvent.flags(event);
        if (flags != PackedEvent.RING_EVENT_FLAGS_DESC || !eventIdx) {
            return flags != PackedEvent.RING_EVENT_FLAGS_DISABLE;
        }
        if (!signalledOnce) {
            return true;
        }
        // All three are brought into the lap of the present position.
        final int old = next <= signalled ? signalled - size : signalled;
        final int wanted = PackedEvent.off(event) - (PackedEvent.wrap(event) == wrap ? 0 : size);
        return ((next - wanted - 1) & 0xFFFF) < ((next - old) & 0xFFFF);
    }

    @Override
    public void callDecided() {
        signalled = next;
        signalledOnce = true;
    }

    /** virtio 1.2 §2.8.14. */
    @Override
    public void suppressKicks() {
        if (fault() == null) {
            PackedEvent.put(deviceEvent, PackedEvent.RING_EVENT_FLAGS_DISABLE, 0, false);
        }
    }

    @Override
    public boolean enableKicks() {
        if (fault() != null) {
            return false;
        }
        final int flags = eventIdx ? PackedEvent.RING_EVENT_FLAGS_DESC : PackedEvent.RING_EVENT_FLAGS_ENABLE;
        PackedEvent.put(deviceEvent, flags, next, wrap);
        RawMemory.fullFence();
        return available(1) != 0;
    }

    @Override
    public boolean isWhole(final MemoryProbe probe) {
        return probe.isWritable(desc, (long) size * PackedDesc.SIZE)
                && probe.isReadable(driverEvent, PackedEvent.SIZE)
                && probe.isWritable(deviceEvent, PackedEvent.SIZE)
                && descriptors.isWhole(probe)
                && chain.isWhole(probe);
    }
}

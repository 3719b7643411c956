package org.mypervisor.virtqueue;

/**
 * The device side of one packed ring, virtio 1.2 §2.8.
 *
 * <p>Because chains are completed in order, a chain's used descriptor takes the place of its first available one, and
 * one position serves for both: {@link #next} in the lap {@link #wrap}.
 *
 * <p>Used descriptors are kept back until {@link #publish}, and the descriptors that a driver skips are marked too, so
 * that whenever this process ends, the ring says how far it got ({@link PackedPosition}).
 */
public final class PackedVirtqueue extends Virtqueue {
    private static final int NO_GAP = -1;

    private static final int ID_MASK = 0xFFFF;
    private static final int COUNT_SHIFT = 16;

    /** Of a token: the chain has one descriptor. */
    private static final int SINGLE = 1 << COUNT_SHIFT;

    private final long desc;
    private final long driverEvent;
    private final long deviceEvent;
    private final boolean writable;
    private final PackedDescriptors descriptors;

    /**
     * Tokens of the chains completed and not published, oldest first. Not by slots: the first few entries serve again and
     * again and stay in the cache.
     */
    private final int[] chains;

    /** len, id and flags of their used descriptors, which the driver does not see yet. */
    private final long[] usedWords;

    /** len, id and flags of the chains that {@link #look} is at. */
    private final long[] availableWords = new long[BufferBurst.MOST];

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

    /** Chains completed and not published. */
    private int unpublishedChains;

    /** Where the first chain begins that is not published. */
    private int published;

    /** Used descriptors that a predecessor left behind the first chain to be done. */
    private int gapStart = NO_GAP;

    private int gapLength;

    /** Position when the driver was last told or found not to want to be told; meaningless before the first time. */
    private int signalled;

    private boolean signalledOnce;

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
                memory, desc, size, VirtioFeatures.has(layout.features(), VirtioFeatures.VIRTIO_F_INDIRECT_DESC));
        chains = new int[size];
        usedWords = new long[size];
        final int given = layout.base() >>> 16;
        final int position = layout.baseIsOurs() ? given : PackedPosition.find(desc, size, given);
        next = PackedEvent.off(position);
        wrap = PackedEvent.wrap(position);
        if (next >= size) {
            throw new IllegalArgumentException("base index %d in a ring of %d".formatted(next, size));
        }
        published = next;
        findGap();
        newChain();
        if (gapStart != NO_GAP && isMergeable() && writable) {
            // A frame in several buffers could never pass a gap.
            final int token = append();
            complete(token >= 0 ? token : malformedToken(), 0);
            publish();
            newChain();
        }
        suppressKicks();
    }

    /**
     * Looks for used descriptors behind the first chain to be done: what a predecessor had published when it died, but for
     * the first one, which comes last. They are skipped once that chain is done. As parts of a frame whose head nobody will
     * see they say that they are empty.
     */
    private void findGap() {
        int slot = next;
        boolean lap = wrap;
        int left = size;
        if (!PackedDesc.isAvailable(flagsAt(slot), lap)) {
            return;
        }
        for (boolean more = true; more && left > 0; left--) {
            more = (flagsAt(slot) & VirtqDesc.VIRTQ_DESC_F_NEXT) != 0;
            slot = slot + 1 == size ? 0 : slot + 1;
            lap ^= slot == 0;
        }
        gapStart = slot;
        for (; left > 0 && PackedDesc.isUsed(flagsAt(slot), lap); left--) {
            if (isMergeable()) {
                final int id = PackedDesc.id(PackedDesc.lenIdFlags(address(slot)));
                PackedDesc.putLenIdFlags(address(slot), PackedDesc.word(0, id, PackedDesc.usedFlags(lap, 0)));
            }
            gapLength++;
            slot = slot + 1 == size ? 0 : slot + 1;
            lap ^= slot == 0;
        }
        if (gapLength == 0) {
            gapStart = NO_GAP;
        }
    }

    private int flagsAt(final int slot) {
        return PackedDesc.flags(PackedDesc.lenIdFlagsAcquire(address(slot)));
    }

    private void skipGap() {
        next += gapLength;
        if (next >= size) {
            next -= size;
            wrap = !wrap;
        }
        published = next;
        gapStart = NO_GAP;
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
        return fault() == null && unpublishedCompleted < size && PackedDesc.isAvailable(flagsAt(next), wrap) ? most : 0;
    }

    /** By its descriptor alone, where each chain has one: those before it were written earlier. */
    @Override
    public boolean isAvailable(final int count) {
        final int slot = next + count - 1;
        return slot < size
                ? PackedDesc.isAvailable(flagsAt(slot), wrap)
                : PackedDesc.isAvailable(flagsAt(slot - size), !wrap);
    }

    private long address(final int slot) {
        return desc + (long) slot * PackedDesc.SIZE;
    }

    @Override
    public int look(final int most) {
        final int available = loadAvailable(most);
        // One for all of them: what lies before the flags is loaded after these. Pairs with the driver's releases.
        RawMemory.acquireFence();
        final BufferBurst found = burst;
        int slot = next;
        int done = 0;
        for (; done < available; done++) {
            final long word = availableWords[done];
            final long gpa = PackedDesc.addr(address(slot));
            if (!found.set(done, gpa, PackedDesc.len(word), SINGLE | PackedDesc.id(word))) {
                break;
            }
            slot = slot + 1 == size ? 0 : slot + 1;
        }
        return found.end(done);
    }

    /** Loads len, id and flags of the next available chains, as long as each is one buffer; answers how many. */
    private int loadAvailable(final int most) {
        // A driver that goes on around a ring that is full must not make us do so.
        final int count = fault() == null ? Math.min(most, size - unpublishedCompleted) : 0;
        int kind = burst.flags() | PackedDesc.availableFlags(wrap);
        int slot = next;
        for (int i = 0; i < count; i++) {
            final long word = PackedDesc.lenIdFlags(address(slot));
            if ((PackedDesc.flags(word) & PackedDesc.KIND_MASK) != kind) {
                return i;
            }
            availableWords[i] = word;
            if (++slot == size) {
                slot = 0;
                kind ^= PackedDesc.LAP_MASK;
            }
        }
        return count;
    }

    @Override
    public void completeBurst(final int count) {
        final BufferBurst done = burst;
        int slot = next;
        boolean lap = wrap;
        int entry = unpublishedChains;
        for (int i = 0; i < count; i++) {
            final int token = done.token(i);
            final int len = done.written(i);
            usedWords[entry] = PackedDesc.word(len, token & ID_MASK, PackedDesc.usedFlags(lap, len));
            chains[entry++] = token;
            if (++slot == size) {
                slot = 0;
                lap = !lap;
            }
        }
        next = slot;
        wrap = lap;
        unpublishedCompleted += count;
        unpublishedChains += count;
        unpublished = unpublishedCompleted;
        done.complete();
    }

    @Override
    public DescriptorChain newChain() {
        cursor = next;
        cursorWrap = wrap;
        unpublished = unpublishedCompleted;
        chain.clear();
        return chain;
    }

    @Override
    public int append() {
        final long word = PackedDesc.lenIdFlagsAcquire(address(cursor));
        // A driver that goes on around a ring that is full must not make us do so.
        if (!PackedDesc.isAvailable(PackedDesc.flags(word), cursorWrap) || unpublished == size || fault() != null) {
            return NONE;
        }
        final RingFault found = descriptors.append(chain, cursor, word, size - unpublished);
        final int count = descriptors.count();
        final int token = count << COUNT_SHIFT | descriptors.id();
        unpublished += count;
        cursor += count;
        if (cursor >= size) {
            cursor -= size;
            cursorWrap = !cursorWrap;
        }
        return found == null ? token : malformed(found, token);
    }

    /**
     * virtio 1.2 §2.8.6: one used descriptor for a chain; the driver skips the others of the chain.
     *
     * @param token the chain's buffer id, and above it the number of its descriptors
     */
    @Override
    public void complete(final int token, final int bytesWritten) {
        final int len = writable ? bytesWritten : 0;
        usedWords[unpublishedChains] = PackedDesc.word(len, token & ID_MASK, PackedDesc.usedFlags(wrap, len));
        chains[unpublishedChains] = token;
        final int count = token >>> COUNT_SHIFT;
        if (count != 1) {
            markSkipped(count);
        }
        unpublishedCompleted += count;
        unpublishedChains++;
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
        return unpublishedCompleted != 0;
    }

    /** The first one last: a driver that looks there meanwhile would take the others' cache lines away from us. */
    @Override
    public void publish() {
        if (unpublishedCompleted == 0) {
            return;
        }
        final int first = published;
        if (unpublishedChains == unpublishedCompleted) {
            putSingles(first, unpublishedChains);
        } else {
            putChains(first, unpublishedChains);
        }
        PackedDesc.putLenIdFlagsRelease(address(first), usedWords[0]);
        // A fault of another ring may interrupt us; then this is not done once more.
        published = next;
        unpublished -= unpublishedCompleted;
        unpublishedCompleted = 0;
        unpublishedChains = 0;
        if (next == gapStart) {
            skipGap();
        }
    }

    /** Shows all used descriptors but the first, where each chain has one. */
    private void putSingles(final int first, final int count) {
        int slot = first;
        for (int i = 1; i < count; i++) {
            if (++slot == size) {
                slot = 0;
            }
            PackedDesc.putLenIdFlags(address(slot), usedWords[i]);
        }
    }

    private void putChains(final int first, final int count) {
        int slot = first;
        for (int i = 1; i < count; i++) {
            slot += chains[i - 1] >>> COUNT_SHIFT;
            if (slot >= size) {
                slot -= size;
            }
            PackedDesc.putLenIdFlags(address(slot), usedWords[i]);
        }
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
                && chain.isWhole(probe)
                && burst.isWhole(probe);
    }
}

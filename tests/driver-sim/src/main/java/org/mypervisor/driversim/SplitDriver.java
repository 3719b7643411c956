package org.mypervisor.driversim;

import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_INDIRECT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_NEXT;

import java.lang.invoke.VarHandle;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

/**
 * The driver's side of one split virtqueue, written from virtio 1.2 §2.7: makes chains available, kicks if the device
 * asks for it, collects used elements. Free descriptors are taken in the order in which they were freed, so a device
 * that completes in order sees them in ring order, as VIRTIO_F_IN_ORDER demands.
 *
 * <p>Owns its kick and call eventfds until {@link #close()}, not the memory. For one thread. A used ring that breaks the
 * specification raises {@link AssertionError}. {@link #addOne}, {@link #publish}, {@link #kickIfNeeded},
 * {@link #nextUsed} and the interrupt switches allocate nothing.
 */
public final class SplitDriver implements AutoCloseable {
    private static final int VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
    private static final int VIRTQ_USED_F_NO_NOTIFY = 1;

    private final DriverRing ring;
    private final DriverChains chains;
    private final Notifiers notifiers = new Notifiers();
    private final boolean eventIdx;
    private int availIdx;
    private int kickedIdx;
    private int usedIdx;
    private int base;
    private long kicks;
    private long batchHead = -1;
    private long batchLength;
    private int usedHead;
    private long usedLength;

    /** @param features what was negotiated: EVENT_IDX and IN_ORDER matter here */
    public SplitDriver(final GuestMemoryFile memory, final SplitLayout layout, final long features) {
        ring = new DriverRing(memory, layout);
        eventIdx = Virtio.has(features, Virtio.VIRTIO_F_EVENT_IDX);
        chains = new DriverChains(layout.size(), Virtio.has(features, Virtio.VIRTIO_F_IN_ORDER));
    }

    /** Makes one chain of plain descriptors available; returns its head. Seen by the device after {@link #publish}. */
    public int add(final List<Buffer> buffers) {
        return add(buffers, List.of());
    }

    /** Makes a chain available that is one descriptor in the ring and a table of {@code buffers}. */
    public int addIndirect(final List<Buffer> buffers) {
        return add(List.of(), buffers);
    }

    /** Plain descriptors followed by an indirect one, unless {@code indirect} is empty; virtio 1.2 §2.7.5.3. */
    public int add(final List<Buffer> plain, final List<Buffer> indirect) {
        final int count = plain.size() + (indirect.isEmpty() ? 0 : 1);
        requireFree(count);
        final int head = chains.nextFree(0);
        for (int i = 0; i < count; i++) {
            final int next = i + 1 < count ? chains.nextFree(i + 1) : 0;
            final int flags = i + 1 < count ? VIRTQ_DESC_F_NEXT : 0;
            if (i < plain.size()) {
                final Buffer buffer = plain.get(i);
                ring.writeDescriptor(chains.nextFree(i), buffer.gpa(), buffer.length(), buffer.flags() | flags, next);
            } else {
                final long table = ring.writeTable(head, indirect);
                ring.writeDescriptor(chains.nextFree(i), table, 16L * indirect.size(), VIRTQ_DESC_F_INDIRECT, 0);
            }
        }
        final Stream<Buffer> buffers = Stream.concat(plain.stream(), indirect.stream());
        chains.take(
                count,
                buffers.filter(Buffer::writable).mapToLong(Buffer::length).sum());
        expose(head);
        return head;
    }

    /** Makes a chain of a single buffer available; returns its head, or -1 when no descriptor is free. */
    public int addOne(final long gpa, final int length, final boolean writable) {
        if (chains.free() == 0) {
            return -1;
        }
        final int head = chains.nextFree(0);
        ring.writeDescriptor(head, gpa, length, writable ? Virtio.VIRTQ_DESC_F_WRITE : 0, 0);
        chains.take(1, writable ? length : 0);
        expose(head);
        return head;
    }

    /** The head of the next chain to be added; {@link IllegalStateException} when no descriptor is free. */
    public int nextHead() {
        requireFree(1);
        return chains.nextFree(0);
    }

    /** Shows the device all chains added so far: release of avail.idx, after everything they point to. */
    public void publish() {
        ring.writeAvailIdx(availIdx);
    }

    /** Kicks if the device asks for it since the last call; returns whether it did. virtio 1.2 §2.7.10. */
    public boolean kickIfNeeded() {
        // Full fence between our store of avail.idx and the load of what the device wants; pairs with the device's
        // fence between storing avail_event or used.flags and loading avail.idx again.
        VarHandle.fullFence();
        final int since = availIdx - kickedIdx & 0xFFFF;
        final boolean wanted = eventIdx
                ? (availIdx - ring.availEvent() - 1 & 0xFFFF) < since
                : since > 0 && (ring.usedFlags() & VIRTQ_USED_F_NO_NOTIFY) == 0;
        kickedIdx = availIdx;
        if (wanted) {
            kickAlways();
        }
        return wanted;
    }

    /** {@link #publish} and {@link #kickIfNeeded}. */
    public boolean publishAndKick() {
        publish();
        return kickIfNeeded();
    }

    /** Kicks whether or not the device asks for it. */
    public void kickAlways() {
        kicks++;
        notifiers.kick().signal();
    }

    /** Takes the next used element, if there is one, into {@link #usedHead} and {@link #usedLength}. */
    public boolean nextUsed() {
        final int deviceIdx = ring.usedIdx();
        if (deviceIdx == usedIdx) {
            return false;
        }
        if ((deviceIdx - usedIdx & 0xFFFF) > chains.outstanding()) {
            throw new AssertionError("the device uses more than it was given: " + this);
        }
        if (batchHead < 0) {
            batchHead = ring.usedId(usedIdx);
            batchLength = ring.usedLength(usedIdx);
        }
        usedHead = chains.complete(batchHead);
        if (usedHead == batchHead) {
            batchHead = -1;
            usedLength = batchLength;
        } else {
            usedLength = chains.writableBytes(usedHead);
        }
        usedIdx = usedIdx + 1 & 0xFFFF;
        return true;
    }

    public int usedHead() {
        return usedHead;
    }

    /** Bytes; see {@link UsedElement#length}. */
    public long usedLength() {
        return usedLength;
    }

    /** The next used element, or null. */
    public UsedElement pollUsed() {
        return nextUsed() ? new UsedElement(usedHead, usedLength) : null;
    }

    /**
     * Sleeps for the next used element as an interrupt-driven driver does: a device that forgets a call fails here.
     */
    public UsedElement awaitUsed(final Duration timeout) {
        final long deadline = System.nanoTime() + timeout.toNanos();
        for (; ; ) {
            enableInterrupts();
            final UsedElement used = pollUsed();
            if (used != null) {
                return used;
            }
            final long left = deadline - System.nanoTime();
            if (left < 0 || !awaitCall(Duration.ofNanos(left))) {
                final String awaited = ring.usedIdx() == usedIdx ? "a used element, " : "a call for used elements, ";
                throw new AssertionError("timeout: waited " + timeout + " for " + awaited + this);
            }
        }
    }

    /** Waits for a call and takes it; false after {@code timeout}. */
    public boolean awaitCall(final Duration timeout) {
        return notifiers.call().await(timeout) && notifiers.call().drain() > 0;
    }

    /** Asks for a call at the next used element. Used elements that came before must be looked for afterwards. */
    public void enableInterrupts() {
        if (eventIdx) {
            ring.writeUsedEvent(usedIdx);
        } else {
            ring.writeAvailFlags(0);
        }
        // Pairs with the device's fence between storing used.idx and loading used_event or avail.flags.
        VarHandle.fullFence();
    }

    /** Asks for no calls; a device may call nevertheless. */
    public void disableInterrupts() {
        if (eventIdx) {
            // An index just passed comes round again only after 65535 elements.
            ring.writeUsedEvent(usedIdx - 1 & 0xFFFF);
        } else {
            ring.writeAvailFlags(VIRTQ_AVAIL_F_NO_INTERRUPT);
        }
    }

    /** Descriptors that are in no chain. */
    public int freeDescriptors() {
        return chains.free();
    }

    /** Chains made available and not yet collected. */
    public int outstanding() {
        return chains.outstanding();
    }

    /** Free-running index behind the last chain added. */
    public int availIdx() {
        return availIdx;
    }

    /** Free-running index behind the last used element collected. */
    public int usedIdx() {
        return usedIdx;
    }

    /** How often this driver has kicked. */
    public long kicks() {
        return kicks;
    }

    /** The ring's bytes, for tests that look or write beside the rules. */
    public DriverRing ring() {
        return ring;
    }

    public Notifiers notifiers() {
        return notifiers;
    }

    /** Index for SET_VRING_BASE: 0, or what GET_VRING_BASE returned last. */
    public int base() {
        return base;
    }

    public void setBase(final int base) {
        this.base = base;
    }

    /** What a driver does after a device reset: zeroed rings, all indices 0, every descriptor free. */
    public void reset() {
        ring.zero();
        chains.clear();
        availIdx = 0;
        kickedIdx = 0;
        usedIdx = 0;
        base = 0;
        batchHead = -1;
    }

    /** Takes the next {@code count} free descriptors as a chain, without writing them; the first is its head. */
    public int[] take(final int count) {
        requireFree(count);
        final int[] taken = new int[count];
        for (int i = 0; i < count; i++) {
            taken[i] = chains.nextFree(i);
        }
        chains.take(count, 0);
        return taken;
    }

    /** Puts a value into the next avail ring slot, right or wrong. */
    public void expose(final int head) {
        ring.writeAvailEntry(availIdx, head);
        availIdx = availIdx + 1 & 0xFFFF;
    }

    @Override
    public void close() {
        notifiers.close();
    }

    @Override
    public String toString() {
        return "ring of " + ring.layout().size() + ": avail.idx " + availIdx + ", used.idx " + usedIdx + " (device "
                + ring.usedIdx() + "), " + outstanding() + " chains out";
    }

    private void requireFree(final int count) {
        if (count > chains.free()) {
            throw new IllegalStateException(count + " descriptors wanted, " + chains.free() + " free, " + this);
        }
    }
}

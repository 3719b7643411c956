package org.mypervisor.driversim;

import java.time.Duration;
import java.util.List;

/**
 * The driver's side of one virtqueue, whichever kind: makes chains available, kicks if the device asks for it, collects
 * what was used. A chain goes by its head: the index of its first descriptor in a split ring, the buffer id in a packed
 * one; in 0..size-1 either way.
 *
 * <p>Owns its kick and call eventfds until {@link #close()}, not the memory. For one thread. A device that breaks the
 * specification raises {@link AssertionError}. {@link #addOne}, {@link #publish}, {@link #kickIfNeeded},
 * {@link #nextUsed} and the interrupt switches allocate nothing.
 */
public abstract sealed class DriverQueue implements AutoCloseable permits SplitDriver, PackedDriver {
    private final GuestMemoryFile memory;
    private final Notifiers notifiers = new Notifiers();
    private final long[] tableGpa;
    private final int[] tableEntries;
    private final int firstBase;
    private int base;
    private long kicks;
    private int usedHead;
    private long usedLength;

    DriverQueue(final GuestMemoryFile memory, final int size, final int firstBase) {
        this.memory = memory;
        this.firstBase = firstBase;
        base = firstBase;
        tableGpa = new long[size];
        tableEntries = new int[size];
    }

    /** A ring in fresh memory, packed if VIRTIO_F_RING_PACKED is among the features. */
    public static DriverQueue allocate(final GuestMemoryFile memory, final int size, final long features) {
        final RingLayout layout = RingLayout.allocate(memory, size, features);
        return layout instanceof PackedLayout packed
                ? new PackedDriver(memory, packed, features)
                : new SplitDriver(memory, (SplitLayout) layout, features);
    }

    /** Makes one chain of plain descriptors available; returns its head. Seen by the device after {@link #publish}. */
    public final int add(final List<Buffer> buffers) {
        return add(buffers, List.of());
    }

    /** Makes a chain available that is one descriptor in the ring and a table of {@code buffers}. */
    public final int addIndirect(final List<Buffer> buffers) {
        return add(List.of(), buffers);
    }

    /** Plain descriptors followed by an indirect one, unless {@code indirect} is empty. Both: split rings only. */
    public abstract int add(List<Buffer> plain, List<Buffer> indirect);

    /** Makes a chain of a single buffer available; returns its head, or -1 when no descriptor is free. */
    public abstract int addOne(long gpa, int length, boolean writable);

    /** Makes a chain of descriptors available just as they are, right or wrong, linked by NEXT; returns its head. */
    public abstract int addRaw(List<Descriptor> chain);

    /** Writes an indirect table of descriptors just as they are, linked where the kind of ring demands it. */
    public abstract void writeTable(long gpa, List<Descriptor> entries);

    /** Writes an indirect table into memory kept for that head, and returns its gpa. */
    public final long writeTable(final int head, final List<Buffer> buffers) {
        final long table = tableGpa(head, buffers.size());
        writeTable(table, descriptors(buffers));
        return table;
    }

    /** The head of the next chain to be added; {@link IllegalStateException} when no descriptor is free. */
    public abstract int nextHead();

    /** Shows the device all chains added so far. */
    public abstract void publish();

    /** Kicks if the device asks for it since the last call; returns whether it did. */
    public final boolean kickIfNeeded() {
        final boolean wanted = isKickWanted();
        if (wanted) {
            kickAlways();
        }
        return wanted;
    }

    /** {@link #publish} and {@link #kickIfNeeded}. */
    public final boolean publishAndKick() {
        publish();
        return kickIfNeeded();
    }

    /** Kicks whether or not the device asks for it. */
    public final void kickAlways() {
        kicks++;
        notifiers.kick().signal();
    }

    /** Takes the next used chain, if there is one, into {@link #usedHead} and {@link #usedLength}. */
    public abstract boolean nextUsed();

    /** Used chains to be seen in memory and not collected yet. */
    public abstract int usedWaiting();

    public final int usedHead() {
        return usedHead;
    }

    /** Bytes; see {@link UsedElement#length}. */
    public final long usedLength() {
        return usedLength;
    }

    /** The next used chain, or null. */
    public final UsedElement pollUsed() {
        return nextUsed() ? new UsedElement(usedHead, usedLength) : null;
    }

    /**
     * Sleeps for the next used chain as an interrupt-driven driver does: a device that forgets a call fails here.
     */
    public final UsedElement awaitUsed(final Duration timeout) {
        final long deadline = System.nanoTime() + timeout.toNanos();
        for (; ; ) {
            enableInterrupts();
            final UsedElement used = pollUsed();
            if (used != null) {
                return used;
            }
            final long left = deadline - System.nanoTime();
            if (left < 0 || !awaitCall(Duration.ofNanos(left))) {
                final String awaited = usedWaiting() == 0 ? "a used element, " : "a call for used elements, ";
                throw new AssertionError("timeout: waited " + timeout + " for " + awaited + this);
            }
        }
    }

    /** Waits for a call and takes it; false after {@code timeout}. */
    public final boolean awaitCall(final Duration timeout) {
        return notifiers.call().await(timeout) && notifiers.call().drain() > 0;
    }

    /** Asks for a call at the next used chain. Those that came before must be looked for afterwards. */
    public abstract void enableInterrupts();

    /** Asks for no calls; a device may call nevertheless. */
    public abstract void disableInterrupts();

    /** Descriptors that are in no chain. */
    public abstract int freeDescriptors();

    /** Chains made available and not yet collected. */
    public abstract int outstanding();

    /** How often this driver has kicked. */
    public final long kicks() {
        return kicks;
    }

    /** Size and addresses. */
    public abstract RingLayout layout();

    public final Notifiers notifiers() {
        return notifiers;
    }

    /** What SET_VRING_BASE says of a fresh ring; virtio-user sends the lower half alone. */
    public final int firstBase() {
        return firstBase;
    }

    /** Number for SET_VRING_BASE: {@link #firstBase}, or what GET_VRING_BASE returned last. */
    public final int base() {
        return base;
    }

    /** Keeps what GET_VRING_BASE returned; {@link AssertionError} if no ring of this kind and size can stand there. */
    public final void setBase(final int base) {
        checkBase(base);
        this.base = base;
    }

    /** The base a front-end resumes from when its back-end died without answering GET_VRING_BASE. */
    public abstract int baseAfterCrash();

    /** What a driver does after a device reset: zeroed rings, all indices at their start, every descriptor free. */
    public final void reset() {
        clear();
        base = firstBase;
    }

    @Override
    public final void close() {
        notifiers.close();
    }

    abstract boolean isKickWanted();

    abstract void checkBase(int returned);

    abstract void clear();

    final void setUsed(final int head, final long length) {
        usedHead = head;
        usedLength = length;
    }

    /** Memory for an indirect table that the chain of this head may keep as long as it is out. */
    final long tableGpa(final int head, final int entries) {
        if (tableEntries[head] < entries) {
            tableEntries[head] = entries;
            tableGpa[head] = memory.allocate(16L * entries, 16);
        }
        return tableGpa[head];
    }

    /** The descriptor that points to a table of these, written into memory kept for the head. */
    final Descriptor indirect(final int head, final List<Buffer> buffers) {
        return new Descriptor(writeTable(head, buffers), 16L * buffers.size(), Virtio.VIRTQ_DESC_F_INDIRECT);
    }

    static List<Descriptor> descriptors(final List<Buffer> buffers) {
        return buffers.stream().map(Descriptor::of).toList();
    }

    static long writableBytes(final List<Buffer> buffers) {
        return buffers.stream()
                .filter(Buffer::writable)
                .mapToLong(Buffer::length)
                .sum();
    }

    final void requireFree(final int count) {
        if (count > freeDescriptors()) {
            throw new IllegalStateException(count + " descriptors wanted, " + freeDescriptors() + " free, " + this);
        }
    }
}

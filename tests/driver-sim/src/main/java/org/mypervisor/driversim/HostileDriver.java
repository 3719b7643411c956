package org.mypervisor.driversim;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Injects the entries of {@link HostileRing} into a running ring of a {@link NetDriver} and checks what the device makes
 * of them. Nothing else may be waiting in that ring: for a receiveq, start without posting buffers
 * ({@code frontend.startLikeQemu(memory, vrings)}), inject, and let a frame arrive from elsewhere; a device may look at
 * a receiveq only then. After a broken ring: stop, reset and start. Owns nothing. For one thread.
 */
public final class HostileDriver {
    /** Entries of the tables that are too long: more than the largest queue QEMU allows. */
    static final int TABLE_ENTRIES = 1025;

    private static final Duration QUIET = Duration.ofMillis(50);

    private final NetDriver net;
    private final DriverQueue ring;
    private final boolean receiveq;
    private final long goodGpa;
    private final long table;
    private final long holeGpa;
    private int head;
    private int publishIdx;

    private HostileDriver(final NetDriver net, final boolean receiveq) {
        this.net = net;
        this.receiveq = receiveq;
        ring = receiveq ? net.receiveq() : net.transmitq();
        goodGpa = net.memory().allocate(4096, 4096);
        table = net.memory().allocate(16L * TABLE_ENTRIES, 16);
        holeGpa = findHole(net.memory().table());
    }

    public static HostileDriver onTransmitq(final NetDriver net) {
        return new HostileDriver(net, false);
    }

    public static HostileDriver onReceiveq(final NetDriver net) {
        return new HostileDriver(net, true);
    }

    /** The entries that make sense with what this driver negotiated. */
    public List<HostileRing> entries() {
        final List<HostileRing> entries = new ArrayList<>();
        for (final HostileRing entry : HostileRing.values()) {
            if (entry.applies(net.frontend().features(), receiveq)) {
                entries.add(entry);
            }
        }
        return entries;
    }

    /** Writes the entry into the ring, publishes and kicks, wanted or not. */
    public void inject(final HostileRing entry) {
        net.memory().fill(goodGpa, 4096, 0);
        head = -1;
        publishIdx = -1;
        entry.write(this);
        if (publishIdx >= 0) {
            split().ring().writeAvailIdx(publishIdx);
        } else {
            ring.publish();
        }
        ring.kickAlways();
    }

    /** Waits for the entry's outcome; an {@link AssertionError} says what was different. */
    public void check(final HostileRing entry) {
        switch (entry.outcome()) {
            case BAD_CHAIN -> checkChainReturned(entry);
            case BAD_RING -> checkRingBroken(entry);
            default -> checkRefused(entry);
        }
    }

    /** {@link #inject} and {@link #check}: for a transmitq. */
    public void expect(final HostileRing entry) {
        inject(entry);
        check(entry);
    }

    private void checkChainReturned(final HostileRing entry) {
        final UsedElement used;
        try {
            used = ring.awaitUsed(net.frontend().timeout());
        } catch (final AssertionError e) {
            throw new AssertionError(entry + ": the chain did not come back", e);
        }
        if (used.head() != head || used.length() != 0) {
            throw new AssertionError(entry + ": want head " + head + " back with length 0, got " + used);
        }
        if (err().drain() != 0) {
            throw new AssertionError(entry + ": the ring was given up for a bad chain");
        }
    }

    private void checkRingBroken(final HostileRing entry) {
        final int usedBefore = ring.usedWaiting();
        if (!err().await(net.frontend().timeout())) {
            throw new AssertionError(entry + ": err was not signalled, " + ring);
        }
        ring.kickAlways();
        sleep(QUIET);
        final long signals = err().drain();
        if (signals != 1) {
            throw new AssertionError(entry + ": err was signalled " + signals + " times");
        }
        if (ring.usedWaiting() != usedBefore) {
            throw new AssertionError(entry + ": used elements appear in a broken ring, " + ring);
        }
    }

    private void checkRefused(final HostileRing entry) {
        final long deadline = System.nanoTime() + net.frontend().timeout().toNanos();
        while (ring.usedWaiting() == 0 && !err().await(Duration.ZERO)) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(entry + ": neither did the chain come back nor was err signalled");
            }
            VhostUserSocket.pause();
        }
        if (!err().await(Duration.ZERO)) {
            checkChainReturned(entry);
        } else {
            checkRingBroken(entry);
        }
    }

    private EventFd err() {
        return net.frontend().err(receiveq ? 0 : 1);
    }

    int size() {
        return net.options().queueSize();
    }

    int headerSize() {
        return net.headerSize();
    }

    /** A mapped page of zeros. */
    long goodGpa() {
        return goodGpa;
    }

    /** First gpa behind a region that has no neighbour there. */
    long holeGpa() {
        return holeGpa;
    }

    /** Room for an indirect table of {@link #TABLE_ENTRIES}. */
    long table() {
        return table;
    }

    /** The WRITE flag of a good buffer of this ring: set in a receiveq. */
    int direction() {
        return receiveq ? Virtio.VIRTQ_DESC_F_WRITE : 0;
    }

    Region largestRegion() {
        return net.memory().table().stream()
                .max(Comparator.comparingLong(Region::size))
                .orElseThrow();
    }

    /** A descriptor in this ring's direction. */
    Descriptor good(final long gpa, final long length) {
        return new Descriptor(gpa, length, direction());
    }

    /** {@code count} descriptors in this ring's direction, of the same buffer. */
    Descriptor[] goods(final int count, final long gpa, final long length) {
        final Descriptor[] descriptors = new Descriptor[count];
        Arrays.fill(descriptors, good(gpa, length));
        return descriptors;
    }

    /** A chain of these, linked by NEXT as the ring links. */
    void chain(final Descriptor... descriptors) {
        head = ring.addRaw(List.of(descriptors));
    }

    /** As {@link #chain}, in {@link #table}. */
    void table(final Descriptor... descriptors) {
        ring.writeTable(table, List.of(descriptors));
    }

    /** A chain of one indirect descriptor to {@link #table}. */
    void indirect(final long length, final int flags) {
        chain(new Descriptor(table, length, Virtio.VIRTQ_DESC_F_INDIRECT | flags));
    }

    /** As {@link #indirect}, to a table of a good packet in two buffers, with one more entry behind it. */
    void goodTable(final long length, final int flags) {
        table(good(goodGpa, 12), good(goodGpa + 12, 60));
        ring.writeTable(table + 32, List.of(good(goodGpa, 60)));
        indirect(length, flags);
    }

    void single(final long length) {
        chain(good(goodGpa, length));
    }

    /** A good packet with one more buffer at its end. */
    void packetEndingWith(final long gpa, final long length) {
        chain(good(goodGpa, 72), good(gpa, length));
    }

    /** A good packet with one more buffer at its start. */
    void packetStartingWith(final long gpa, final long length) {
        chain(good(gpa, length), good(goodGpa, 72));
    }

    /** Free descriptors of a split ring, to be linked at will. */
    int[] take(final int count) {
        return split().take(count);
    }

    void expose(final int[] chain) {
        head = chain[0];
        split().expose(head);
    }

    void exposeOnly(final int value) {
        split().expose(value);
    }

    void jump(final int distance) {
        publishIdx = split().availIdx() + distance & 0xFFFF;
    }

    /** A descriptor in a split ring's table, in this ring's direction. */
    void put(final int index, final long gpa, final long length, final int flags, final int next) {
        split().ring().writeDescriptor(index, gpa, length, flags | direction(), next);
    }

    /** A descriptor in an indirect table of a split ring, in this ring's direction. */
    void put(final long tableGpa, final int entry, final long gpa, final long length, final int flags, final int next) {
        split().ring().writeDescriptorAt(tableGpa + 16L * entry, gpa, length, flags | direction(), next);
    }

    private SplitDriver split() {
        return (SplitDriver) ring;
    }

    private static long findHole(final List<Region> regions) {
        for (final Region region : regions) {
            if (regions.stream().noneMatch(other -> other.contains(region.endGpa(), 0))) {
                return region.endGpa();
            }
        }
        throw new IllegalStateException("no hole in " + regions);
    }

    private static void sleep(final Duration span) {
        try {
            Thread.sleep(span.toMillis());
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }
}

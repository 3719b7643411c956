package org.mypervisor.driversim;

import java.time.Duration;
import java.util.ArrayList;
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
    private final SplitDriver ring;
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
        ring.ring().writeAvailIdx(publishIdx >= 0 ? publishIdx : ring.availIdx());
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
        final int usedBefore = ring.ring().usedIdx();
        if (!err().await(net.frontend().timeout())) {
            throw new AssertionError(entry + ": err was not signalled, " + ring);
        }
        ring.kickAlways();
        sleep(QUIET);
        final long signals = err().drain();
        if (signals != 1) {
            throw new AssertionError(entry + ": err was signalled " + signals + " times");
        }
        if (ring.ring().usedIdx() != usedBefore) {
            throw new AssertionError(entry + ": used elements appear in a broken ring, " + ring);
        }
    }

    private void checkRefused(final HostileRing entry) {
        final long deadline = System.nanoTime() + net.frontend().timeout().toNanos();
        while (ring.ring().usedIdx() == ring.usedIdx() && !err().await(Duration.ZERO)) {
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

    int[] take(final int count) {
        return ring.take(count);
    }

    void expose(final int[] chain) {
        head = chain[0];
        ring.expose(head);
    }

    void exposeOnly(final int value) {
        ring.expose(value);
    }

    void jump(final int distance) {
        publishIdx = ring.availIdx() + distance & 0xFFFF;
    }

    /** A descriptor in the ring's table, in this ring's direction. */
    void put(final int index, final long gpa, final long length, final int flags, final int next) {
        putRaw(index, gpa, length, flags | direction(), next);
    }

    void putRaw(final int index, final long gpa, final long length, final int flags, final int next) {
        ring.ring().writeDescriptor(index, gpa, length, flags, next);
    }

    /** A descriptor in an indirect table, in this ring's direction. */
    void put(final long tableGpa, final int entry, final long gpa, final long length, final int flags, final int next) {
        ring.ring().writeDescriptorAt(tableGpa + 16L * entry, gpa, length, flags | direction(), next);
    }

    /** A chain of one indirect descriptor to {@link #table}. */
    void indirect(final long length, final int flags) {
        final int[] d = take(1);
        putRaw(d[0], table, length, Virtio.VIRTQ_DESC_F_INDIRECT | flags, (d[0] + 1) % size());
        expose(d);
    }

    /** As {@link #indirect}, to a table of a good packet in two buffers. */
    void goodTable(final long length, final int flags) {
        put(table, 0, goodGpa, 12, Virtio.VIRTQ_DESC_F_NEXT, 1);
        put(table, 1, goodGpa + 12, 60, 0, 0);
        put(table, 2, goodGpa, 60, 0, 0);
        indirect(length, flags);
    }

    void single(final long length) {
        final int[] d = take(1);
        put(d[0], goodGpa, length, 0, 0);
        expose(d);
    }

    /** A good packet with one more buffer at its end. */
    void packetEndingWith(final long gpa, final long length) {
        final int[] d = take(2);
        put(d[0], goodGpa, 72, Virtio.VIRTQ_DESC_F_NEXT, d[1]);
        put(d[1], gpa, length, 0, 0);
        expose(d);
    }

    /** A good packet with one more buffer at its start. */
    void packetStartingWith(final long gpa, final long length) {
        final int[] d = take(2);
        put(d[0], gpa, length, Virtio.VIRTQ_DESC_F_NEXT, d[1]);
        put(d[1], goodGpa, 72, 0, 0);
        expose(d);
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

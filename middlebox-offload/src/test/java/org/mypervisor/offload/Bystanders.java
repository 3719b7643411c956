package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import org.mypervisor.driversim.NetDriver;

/**
 * Guests on ports c and d that send each other full bursts at a steady rate, while something bad happens at ports a and b
 * of the same worker. {@link #close} fails when a frame was lost, changed, doubled, out of order or miscounted, or when
 * frames were held up for too long, all times added up. What a busy machine takes from the threads at work is measured
 * in the same moments and does not count.
 */
final class Bystanders implements AutoCloseable {
    private static final long BETWEEN_BURSTS_NANOS = 2_000_000;
    private static final long BETWEEN_LOOKS_NANOS = 100_000;
    private static final Duration LOST = Duration.ofSeconds(10);
    private static final long FRAMES_AT_LEAST = 200;

    /** Stalls that are nobody's fault: pages touched for the first time, code not compiled yet. */
    private static final long SLACK_NANOS = Duration.ofMillis(40).toNanos();

    /** One part in so many of the whole time. */
    private static final long SLACK_PART = 50;

    private final RunningBackend backend;
    private final SteadyTraffic traffic;
    private final Thread thread = new Thread(this::run, "bystanders");
    private long allowedNanos = SLACK_NANOS;
    private volatile boolean enough;
    private volatile Throwable failure;
    private long nanos;

    Bystanders(final RunningBackend backend) {
        this(backend, Rings.SPLIT);
    }

    Bystanders(final RunningBackend backend, final Rings rings) {
        this.backend = backend;
        traffic = new SteadyTraffic(backend, rings);
        thread.setDaemon(true);
        thread.start();
        RunningBackend.await("frames cross", () -> traffic.received() > 0 || failure != null);
    }

    /** Ports a and b are connected, and so are c and d; one worker has them all. */
    static RunningBackend fourPorts(final Path folder, final boolean busyPoll) {
        return RunningBackend.withPaths(folder, busyPoll, List.of("a", "b", "c", "d"), "a <-> b", "c <-> count <-> d");
    }

    /** What the test does may, as documented, hold everybody up for so long in all. */
    Bystanders allow(final Duration documented) {
        allowedNanos += documented.toNanos();
        return this;
    }

    private void run() {
        try (CpuWait machine = new CpuWait(Set.of("worker-0", "watch", "watch-calls", "bystanders"))) {
            final long begin = System.nanoTime();
            traffic.begin(machine);
            long next = begin;
            while (!enough || traffic.received() < FRAMES_AT_LEAST) {
                final long now = System.nanoTime();
                final boolean due = now >= next;
                if (due) {
                    // What was missed is not made up for: a steady rate, not a burst of bursts.
                    next = Math.max(next + BETWEEN_BURSTS_NANOS, now);
                }
                traffic.turn(due);
                LockSupport.parkNanos(BETWEEN_LOOKS_NANOS);
            }
            nanos = System.nanoTime() - begin;
            traffic.drain(LOST);
        } catch (final RuntimeException | Error e) {
            failure = e;
        }
    }

    /** The guest on port c; its rings and buffers are in use. */
    NetDriver c() {
        return traffic.c();
    }

    /** Waits until frames cross that were sent from now on. */
    void awaitMore() {
        final long before = traffic.received();
        RunningBackend.await(
                "frames cross: " + failure,
                () -> traffic.received() >= before + FRAMES_AT_LEAST + 2 * SteadyTraffic.MOST_UNDER_WAY
                        || failure != null);
    }

    @Override
    public void close() {
        if (enough) {
            return;
        }
        enough = true;
        try {
            thread.join();
        } catch (final InterruptedException e) {
            throw new AssertionError(e);
        }
        final long allowed = allowedNanos + nanos / SLACK_PART;
        final String figures =
                "bystanders in %d ms: %s, allowed %d us".formatted(nanos / 1_000_000, traffic, allowed / 1000);
        System.out.println(figures);
        assertNull(failure, () -> figures + ": " + failure);
        assertTrue(traffic.stalledNanos() <= allowed, figures);
        assertEquals(traffic.sentByC(), backend.port("c").received().packets(), figures);
        assertEquals(traffic.sentByC(), backend.port("d").sent().packets(), figures);
        assertEquals(traffic.sentByD(), backend.port("d").received().packets(), figures);
        assertEquals(traffic.sentByD(), backend.port("c").sent().packets(), figures);
        traffic.close();
    }
}

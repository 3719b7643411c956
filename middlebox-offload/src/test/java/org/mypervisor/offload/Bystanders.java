package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;

/**
 * Guests on ports c and d whose frames cross all the time, while something bad happens at ports a and b of the same
 * worker. {@link #close} fails when a frame was lost, changed, doubled or held up.
 */
final class Bystanders implements AutoCloseable {
    private static final long HELD_UP_NANOS = Duration.ofMillis(250).toNanos();
    private static final long TICK_NANOS = 1_000_000;
    private static final long BETWEEN_FRAMES_NANOS = 100_000;
    private static final Duration LOST = Duration.ofSeconds(10);
    private static final int FRAMES_AT_LEAST = 200;

    private final NetDriver c;
    private final NetDriver d;
    private final Thread traffic = new Thread(this::cross, "bystanders");
    private final Thread clock = new Thread(this::tick, "clock");
    private volatile boolean enough;
    private volatile long frames;
    private volatile Throwable failure;
    private volatile long worstNanos;
    private volatile long machineNanos;

    Bystanders(final RunningBackend backend) {
        c = backend.guest("c", LIKE_QEMU, NetOptions.defaults());
        d = backend.guest("d", LIKE_QEMU, NetOptions.defaults());
        traffic.setDaemon(true);
        clock.setDaemon(true);
        traffic.start();
        clock.start();
    }

    /** Ports a and b are connected, and so are c and d; one worker has them all. */
    static RunningBackend fourPorts(final Path folder, final boolean busyPoll) {
        return RunningBackend.withPaths(folder, busyPoll, List.of("a", "b", "c", "d"), "a <-> b", "c <-> count <-> d");
    }

    private void cross() {
        final byte[] frame = new byte[60];
        try {
            while (!enough || frames < FRAMES_AT_LEAST) {
                ByteBuffer.wrap(frame).putLong(20, frames);
                final long start = System.nanoTime();
                c.transmit(frame);
                assertArrayEquals(frame, d.receive(LOST));
                final long turn = System.nanoTime();
                d.transmit(frame);
                assertArrayEquals(frame, c.receive(LOST));
                worstNanos = Math.max(worstNanos, Math.max(turn - start, System.nanoTime() - turn));
                frames += 2;
                LockSupport.parkNanos(BETWEEN_FRAMES_NANOS);
            }
            c.expectNoFrame(Duration.ofMillis(2));
            d.expectNoFrame(Duration.ofMillis(2));
        } catch (final RuntimeException | Error e) {
            failure = e;
        }
    }

    /** A machine with other work holds everybody up; that is not what is tested. */
    private void tick() {
        while (!enough) {
            final long start = System.nanoTime();
            LockSupport.parkNanos(TICK_NANOS);
            machineNanos = Math.max(machineNanos, System.nanoTime() - start - TICK_NANOS);
        }
    }

    /** Frames that have crossed so far. */
    long frames() {
        return frames;
    }

    /** Waits until frames cross that were sent from now on. */
    void awaitMore() {
        final long before = frames;
        RunningBackend.await("frames cross: " + failure, () -> frames >= before + FRAMES_AT_LEAST || failure != null);
    }

    @Override
    public void close() {
        enough = true;
        try {
            traffic.join();
            clock.join();
        } catch (final InterruptedException e) {
            throw new AssertionError(e);
        }
        final String figures = "%d frames between bystanders, longest way %d us, the machine's own longest pause %d us"
                .formatted(frames, worstNanos / 1000, machineNanos / 1000);
        System.out.println(figures);
        assertNull(failure, () -> figures + ": " + failure);
        assertTrue(worstNanos <= HELD_UP_NANOS + machineNanos, figures);
        c.close();
        d.close();
    }
}

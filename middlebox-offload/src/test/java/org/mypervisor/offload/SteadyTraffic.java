package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.ReceivedFrame;

/**
 * Guests on ports c and d of a back-end whose frames cross in full bursts, each frame with a number of its own. For one
 * thread, which calls {@link #turn} all the time; any thread may ask for {@link #received}.
 */
final class SteadyTraffic implements AutoCloseable {
    /** Frames that the device sees at once. */
    private static final int BURST = 32;

    /** Each way. Few enough for the rings, so that nothing is dropped for want of a buffer. */
    static final int MOST_UNDER_WAY = 3 * BURST;

    private static final long STALL_NANOS = 2_000_000;

    private static final int FRAME_BYTES = 60;

    /** In an IPv4 header: checksum and source address are its lower half, so that rules have something to tell apart. */
    private static final int NUMBER_AT = 20;

    private final OneWay there;
    private final OneWay back;
    private final NetDriver c;
    private final NetDriver d;
    private volatile long received;
    private CpuWait machine;
    private long lastLook;
    private long lastWait;
    private long stalledNanos;
    private long longestStall;
    private long stall;
    private long excusedNanos;

    SteadyTraffic(final RunningBackend backend, final Rings rings) {
        c = backend.guest("c", rings.features(), rings.options());
        d = backend.guest("d", rings.features(), rings.options());
        there = new OneWay(c, d);
        back = new OneWay(d, c);
    }

    /** Frames of one direction. */
    private static final class OneWay {
        private final NetDriver from;
        private final NetDriver to;
        private final byte[] frame = new byte[FRAME_BYTES];
        private final long[] sentAt = new long[MOST_UNDER_WAY];
        private final long headerSize;
        private long sent;
        private long arrived;

        OneWay(final NetDriver from, final NetDriver to) {
            this.from = from;
            this.to = to;
            this.headerSize = from.headerSize();
            ByteBuffer.wrap(frame).putInt(12, 0x08004500).putShort(16, (short) (FRAME_BYTES - 14));
        }

        /** A burst that the device sees at once. */
        void send() {
            final DriverQueue transmitq = from.transmitq();
            while (transmitq.nextUsed()) {
                // Its descriptor is free again.
            }
            if (sent - arrived > MOST_UNDER_WAY - BURST) {
                return;
            }
            for (int i = 0; i < BURST; i++) {
                final long gpa = from.transmitBufferGpa(transmitq.nextHead());
                from.memory().write(gpa, new byte[(int) headerSize]);
                from.memory().write(gpa + headerSize, number(sent));
                sentAt[(int) (sent % MOST_UNDER_WAY)] = System.nanoTime();
                transmitq.addOne(gpa, (int) headerSize + FRAME_BYTES, false);
                sent++;
            }
            transmitq.publishAndKick();
        }

        private byte[] number(final long frameNumber) {
            ByteBuffer.wrap(frame).putLong(NUMBER_AT, frameNumber);
            return frame;
        }

        void receive() {
            for (ReceivedFrame got = to.pollFrame(); got != null; got = to.pollFrame()) {
                assertArrayEquals(number(arrived), got.frame(), () -> "frame " + arrived);
                arrived++;
            }
        }

        boolean isStalled(final long now) {
            return sent > arrived && now - sentAt[(int) (arrived % MOST_UNDER_WAY)] > STALL_NANOS;
        }
    }

    /** In the thread that will take the turns. */
    void begin(final CpuWait wait) {
        machine = wait;
        lastLook = System.nanoTime();
        lastWait = machine.nanos();
    }

    /** Takes what has arrived, adds up stalls, and sends a burst each way if told to. */
    void turn(final boolean send) {
        there.receive();
        back.receive();
        received = there.arrived + back.arrived;
        final long now = System.nanoTime();
        final long wait = machine.nanos();
        if (there.isStalled(now) || back.isStalled(now)) {
            final long span = now - lastLook;
            final long excused = Math.min(span, wait - lastWait);
            excusedNanos += excused;
            stall += span - excused;
            stalledNanos += span - excused;
            longestStall = Math.max(longestStall, stall);
        } else {
            stall = 0;
        }
        lastLook = now;
        lastWait = wait;
        if (send) {
            there.send();
            back.send();
        }
    }

    /** Returns when every frame has arrived, and nothing else. */
    void drain(final Duration limit) {
        final long deadline = System.nanoTime() + limit.toNanos();
        while (there.sent != there.arrived || back.sent != back.arrived) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("frames are lost: " + this);
            }
            turn(false);
            LockSupport.parkNanos(1);
        }
        d.expectNoFrame(Duration.ofMillis(2));
        c.expectNoFrame(Duration.ofMillis(2));
    }

    /** Frames that have arrived, both ways together. */
    long received() {
        return received;
    }

    NetDriver c() {
        return c;
    }

    long sentByC() {
        return there.sent;
    }

    long sentByD() {
        return back.sent;
    }

    /** The time in which some frame had been under way for too long, and no thread waited for a CPU. */
    long stalledNanos() {
        return stalledNanos;
    }

    @Override
    public void close() {
        c.close();
        d.close();
    }

    @Override
    public String toString() {
        return "%d + %d frames of %d + %d, held up for %d us, at most %d us at once, by the machine for %d us"
                .formatted(
                        there.arrived,
                        back.arrived,
                        there.sent,
                        back.sent,
                        stalledNanos / 1000,
                        longestStall / 1000,
                        excusedNanos / 1000);
    }
}

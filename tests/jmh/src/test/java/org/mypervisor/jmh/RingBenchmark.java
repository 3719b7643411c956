package org.mypervisor.jmh;

import org.mypervisor.virtqueue.Virtqueue;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Takes chains from a transmitq and gives them back, without a look at their frames. {@link #refill} alone is the driver's
 * part in the two others.
 */
public class RingBenchmark extends FrameBenchmark {
    private static final byte[] FRAME = new byte[60];

    @Param({"split", "packed"})
    public String ring;

    private SteadyRing steady;
    private Virtqueue device;

    @Setup
    public void lay() {
        steady = SteadyRing.transmitq(ring.equals("packed"), () -> FRAME);
        device = steady.device();
    }

    /** Many chains at once, as for frames of the usual kind. */
    @Benchmark
    public void burst() {
        final int found = device.look(BURST);
        requireAll(found);
        device.completeBurst(found);
        device.publish();
        steady.refill();
    }

    /** One by one, as for all others. */
    @Benchmark
    public void chains() {
        int found = 0;
        for (int i = 0; i < BURST; i++) {
            device.newChain();
            final int token = device.append();
            if (token >= 0) {
                device.complete(token, 0);
                found++;
            }
        }
        requireAll(found);
        device.publish();
        steady.refill();
    }

    @Benchmark
    public void refill() {
        steady.refill();
    }

    private static void requireAll(final int found) {
        if (found != BURST) {
            throw new IllegalStateException(found + " of " + BURST + " chains");
        }
    }

    @TearDown
    public void close() {
        steady.close();
    }
}

package org.mypervisor.offload;

import java.util.Arrays;
import org.mypervisor.jmh.FrameBenchmark;
import org.mypervisor.jmh.SteadyRing;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.RuleSample;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Turns of a wire, from ring to ring: a frame's whole way, but for the cache misses that drivers on other CPUs cause. The
 * refill of both rings is in it: {@code RingBenchmark.refill}, twice.
 */
public class WireBenchmark extends FrameBenchmark {
    @Param({"split", "packed"})
    public String ring;

    @Param({"64", "512", "1514"})
    public int frameBytes;

    /** Of a filter; 0 is none. */
    @Param({"0", "10", "1000"})
    public int rules;

    private PolledGuest from;
    private PolledGuest to;
    private Wire wire;

    @Setup
    public void connect() throws RuleFileException {
        final RuleSample sample = new RuleSample(rules);
        from = guest("from", sample);
        to = guest("to", sample);
        final Element[] elements = rules == 0 ? new Element[0] : new Element[] {new FilterElement(sample.rules())};
        wire = new Wire(
                new WireEnds(from.port(), 0, to.port(), new Port[0]),
                new Path("from -> to"),
                elements,
                new Patience(0));
    }

    private PolledGuest guest(final String id, final RuleSample sample) {
        final boolean packed = ring.equals("packed");
        final SteadyRing transmitq = SteadyRing.transmitq(packed, () -> Arrays.copyOf(sample.nextFrame(), frameBytes));
        return PolledGuest.of(id, SteadyRing.receiveq(packed), transmitq);
    }

    @Benchmark
    public int forward() {
        final int taken = wire.forward(0);
        from.transmitq().refill();
        to.receiveq().refill();
        return taken;
    }

    @TearDown
    public void close() {
        final long taken = from.port().receivedPackets.get();
        final long sent = to.port().sentPackets.get();
        from.close();
        to.close();
        if (taken == 0 || taken % BURST != 0 || sent != taken) {
            throw new IllegalStateException(taken + " frames taken, " + sent + " sent");
        }
    }
}

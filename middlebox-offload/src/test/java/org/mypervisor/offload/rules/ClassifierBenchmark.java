package org.mypervisor.offload.rules;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.mypervisor.virtqueue.BufferBurst;
import org.mypervisor.virtqueue.RawMemory;

/**
 * What classifying a frame costs: thread CPU time of reading its headers and finding the rule, less that of reading the
 * headers alone. All rule sets take turns within one run; figures are medians over the rounds. For
 * {@code tests/bench/classifier.sh}.
 */
public final class ClassifierBenchmark {
    private static final int STRIDE = 128;
    private static final int FRAMES_PER_ROUND = 1_000_000;
    private static final int[] RULES = {10, 100, 1_000, 10_000};
    /** The last one is a new flow with every frame: none comes twice in a round. */
    private static final int[] FLOWS = {1_024, 100_000, FRAMES_PER_ROUND};

    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private static final int BURST = BufferBurst.MOST;

    private final Headers headers = new Headers();
    private final RuleLookup lookup = new RuleLookup(BURST);
    private final long memory = RawMemory.allocate(FRAMES_PER_ROUND * STRIDE);
    private long sum;

    /** Rules, frames for them, and the nanoseconds by number of flows and round. */
    private record Load(RuleSet rules, byte[] frames, int[] lengths, double[][] nanos) {}

    private ClassifierBenchmark() {}

    /** Arguments: style of rules, IP version, rounds. */
    public static void main(final String[] args) throws RuleFileException {
        final ClassifierBenchmark benchmark = new ClassifierBenchmark();
        final var style = SyntheticRules.Style.valueOf(args[0].toUpperCase(Locale.ROOT));
        final int rounds = Integer.parseInt(args[2]);
        final List<Load> loads = new ArrayList<>();
        for (final int count : RULES) {
            loads.add(load(style, args[1].equals("6"), count, rounds));
        }
        for (int round = -1; round < rounds; round++) {
            for (final Load load : loads) {
                benchmark.measure(load, round);
            }
        }
        System.out.println("   rules       1024 flows     100000 flows         new flows   ns/frame");
        for (final Load load : loads) {
            final StringBuilder line = new StringBuilder(String.format("%8d", load.rules.size()));
            for (final double[] nanos : load.nanos) {
                Arrays.sort(nanos);
                line.append(String.format(" %16.1f", nanos[rounds / 2]));
            }
            System.out.println(line);
        }
        System.out.println("checksum " + benchmark.sum);
    }

    private static Load load(final SyntheticRules.Style style, final boolean ipv6, final int count, final int rounds)
            throws RuleFileException {
        final String text = new SyntheticRules(7, style, ipv6, count).text(count);
        final long before = THREADS.getCurrentThreadCpuTime();
        final RuleSet rules = RuleFile.parse("synthetic", text);
        System.out.printf(
                "%d rules: read and compiled in %d ms, %d KiB%n",
                count, (THREADS.getCurrentThreadCpuTime() - before) / 1_000_000, rules.compiledBytes() >> 10);
        final byte[] frames = new byte[FRAMES_PER_ROUND * STRIDE];
        final int[] lengths = new int[FRAMES_PER_ROUND];
        final RuleTraffic traffic = new RuleTraffic(rules, 9, 0);
        for (int i = 0; i < FRAMES_PER_ROUND; i++) {
            lengths[i] =
                    traffic.next(ByteBuffer.wrap(frames, i * STRIDE, STRIDE).slice());
        }
        return new Load(rules, frames, lengths, new double[FLOWS.length][rounds]);
    }

    private void measure(final Load load, final int round) {
        for (int i = 0; i < load.frames.length; i++) {
            RawMemory.putU8(memory + i, load.frames[i]);
        }
        for (int i = 0; i < FLOWS.length; i++) {
            read(load, FLOWS[i]);
            final double nanos = -nanos(load, FLOWS[i], false) + nanos(load, FLOWS[i], true);
            if (round >= 0) {
                load.nanos[i][round] = nanos;
            }
        }
    }

    private double nanos(final Load load, final int flows, final boolean judge) {
        final int turns = FRAMES_PER_ROUND / flows;
        final long before = THREADS.getCurrentThreadCpuTime();
        for (int i = 0; i < turns; i++) {
            if (judge) {
                judge(load, flows);
            } else {
                read(load, flows);
            }
        }
        return (double) (THREADS.getCurrentThreadCpuTime() - before) / ((long) turns * flows);
    }

    private void read(final Load load, final int flows) {
        long read = 0;
        for (int i = 0; i < flows; i++) {
            headers.parse(memory + (long) i * STRIDE, load.lengths[i]);
            read += headers.destinationLow();
        }
        sum += read;
    }

    private void judge(final Load load, final int flows) {
        long matched = 0;
        for (int i = 0; i < flows; i += BURST) {
            lookup.begin();
            final int count = Math.min(BURST, flows - i);
            for (int k = 0; k < count; k++) {
                headers.parse(memory + (long) (i + k) * STRIDE, load.lengths[i + k]);
                lookup.add(load.rules, headers);
            }
            lookup.find(load.rules);
            for (int k = 0; k < count; k++) {
                matched += lookup.match(k);
            }
        }
        sum += matched;
    }
}

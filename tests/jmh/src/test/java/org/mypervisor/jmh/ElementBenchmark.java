package org.mypervisor.jmh;

import org.mypervisor.offload.CountElement;
import org.mypervisor.offload.Element;
import org.mypervisor.offload.FilterElement;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.RuleSample;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Elements, each behind the snapshots of a burst, as a wire takes them; {@link #snapshots} are those alone. */
public class ElementBenchmark extends FrameBenchmark {
    /** Frames whoever looks at them. */
    @State(Scope.Thread)
    public static class Any {
        @Param({"1024", "100000"})
        public int flows;

        private Flows frames;

        @Setup
        public void make() throws RuleFileException {
            frames = new Flows(new RuleSample(10), flows);
        }
    }

    /** Rules, and frames for them. */
    @State(Scope.Thread)
    public static class Ruled {
        @Param({"10", "1000", "10000"})
        public int rules;

        @Param({"1024", "100000"})
        public int flows;

        private Flows frames;
        private FilterElement filter;

        @Setup
        public void make() throws RuleFileException {
            final RuleSample sample = new RuleSample(rules);
            frames = new Flows(sample, flows);
            filter = new FilterElement(sample.rules());
        }
    }

    private final CountElement count = new CountElement();

    private static int judge(final Element element, final Flows frames) {
        int passed = 0;
        frames.takeSnapshots();
        for (int i = 0; i < BURST; i++) {
            if (element.process(frames.snapshot(i)) == Element.PASS) {
                passed++;
            }
        }
        return passed;
    }

    @Benchmark
    public int filter(final Ruled state) {
        return judge(state.filter, state.frames);
    }

    @Benchmark
    public int count(final Any state) {
        return judge(count, state.frames);
    }

    @Benchmark
    public void snapshots(final Any state) {
        state.frames.takeSnapshots();
    }
}

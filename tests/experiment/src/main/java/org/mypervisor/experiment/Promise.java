package org.mypervisor.experiment;

import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.DoubleStream;
import org.mypervisor.offload.cost.Policy;

/** What the project promises, and what was measured of it. */
record Promise(String what, Bound bound, double limit, OptionalDouble value) {
    private static final String OURS = "filter+wire";
    private static final String TRADITIONAL = "traditional";
    private static final double MODEL_ERROR = 0.15;

    enum Bound {
        AT_MOST("at most"),
        AT_LEAST("at least"),
        BELOW("below");

        private final String words;

        Bound(final String words) {
            this.words = words;
        }
    }

    static List<Promise> of(final Headline headline, final CostFit fit) {
        return List.of(
                new Promise(
                        "guest interrupts per 1,000 allowed packets, filter+wire / traditional",
                        Bound.AT_MOST,
                        0.01,
                        headline.interrupts.ratio(OURS, TRADITIONAL)),
                new Promise(
                        "client TCP, filter+wire / traditional",
                        Bound.AT_LEAST,
                        1.7,
                        headline.tcp.ratio(OURS, TRADITIONAL)),
                new Promise(
                        "client TCP, filter+wire / tap-echo", Bound.AT_LEAST, 1, headline.tcp.ratio(OURS, "tap-echo")),
                new Promise(
                        "CPU per GB, filter+wire / traditional",
                        Bound.AT_MOST,
                        0.5,
                        headline.cpuPerGigabyte.ratio(OURS, TRADITIONAL)),
                new Promise(
                        "CPU per million 64 B packets, filter+wire / traditional",
                        Bound.AT_MOST,
                        0.2,
                        headline.cpuPerMillion.ratio(OURS, TRADITIONAL)),
                error("CPU time", fit.cpuErrors()),
                error("guest interrupts", fit.interruptErrors()));
    }

    /** The mean of each policy's errors has to be below the limit. */
    private static Promise error(final String what, final Map<Policy, double[]> errors) {
        final OptionalDouble worstMean = errors.values().stream()
                .filter(values -> values.length != 0)
                .mapToDouble(values -> DoubleStream.of(values).average().orElseThrow())
                .max();
        return new Promise(
                "mean relative error of the cost model on combinations it has not seen, the worst policy's: " + what,
                Bound.BELOW,
                MODEL_ERROR,
                worstMean);
    }

    boolean isMet() {
        if (value.isEmpty()) {
            return false;
        }
        return switch (bound) {
            case AT_MOST -> value.getAsDouble() <= limit;
            case AT_LEAST -> value.getAsDouble() >= limit;
            case BELOW -> value.getAsDouble() < limit;
        };
    }

    /** As cells of a table. */
    List<String> row() {
        return List.of(
                what,
                bound.words + " " + Numbers.text(limit),
                Numbers.text(value),
                value.isEmpty() ? Numbers.NOT_MEASURED : isMet() ? "met" : "**not met**");
    }
}

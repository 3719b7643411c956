package org.mypervisor.experiment;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.DoubleSummaryStatistics;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/** The runs of an experiment by arrangement and {@link Point}; a value is the median over the rounds. */
final class Results {
    /** Bounds first, then what is compared, then what else there is. */
    private static final List<String> ARRANGEMENTS =
            List.of(Run.BASELINE, "kernel", "tap-echo", "traditional", "none", "filter", "filter+wire");

    /** Offered rates that differ by less were meant to be the same. */
    private static final double SAME_RATE = 1.25;

    private record Placed(String arrangement, Point point, Run run) {}

    private final List<Placed> runs;
    private final List<String> arrangements;

    Results(final List<Run> runs) {
        final Map<Run, Double> rates = rates(runs);
        this.runs = runs.stream()
                .map(run -> new Placed(run.arrangement(), point(run, rates.getOrDefault(run, 0.0)), run))
                .toList();
        this.arrangements = Stream.concat(
                        ARRANGEMENTS.stream(),
                        this.runs.stream()
                                .map(Placed::arrangement)
                                .distinct()
                                .filter(name -> !ARRANGEMENTS.contains(name)))
                .toList();
    }

    private static Point point(final Run run, final double rate) {
        return new Point(
                run.traffic(),
                run.paced(),
                run.frameBytes() == null ? 0 : run.frameBytes(),
                run.offloads(),
                run.deniedShare(),
                run.chain(),
                rate);
    }

    /** What paced senders were meant to offer: as the run says, else measured rates gather around it. */
    private static Map<Run, Double> rates(final List<Run> runs) {
        final Map<Run, Double> rates = new IdentityHashMap<>();
        runs.stream()
                .filter(run -> run.isPacedUdp() && run.askedPps() != null)
                .forEach(run -> rates.put(run, run.askedPps()));
        final List<Run> sorted = runs.stream()
                .filter(run -> run.isPacedUdp()
                        && run.askedPps() == null
                        && run.offeredPerSecond().isPresent())
                .sorted(Comparator.comparingDouble(run -> run.offeredPerSecond().getAsDouble()))
                .toList();
        for (int from = 0, to; from < sorted.size(); from = to) {
            final double lowest = sorted.get(from).offeredPerSecond().getAsDouble();
            to = from;
            while (to < sorted.size() && sorted.get(to).offeredPerSecond().getAsDouble() <= lowest * SAME_RATE) {
                to++;
            }
            final List<Run> same = sorted.subList(from, to);
            final double rate = Numbers.rounded(Numbers.median(same.stream()
                            .mapToDouble(run -> run.offeredPerSecond().getAsDouble()))
                    .orElseThrow());
            same.forEach(run -> rates.put(run, rate));
        }
        return rates;
    }

    /** Those that every experiment has, measured or not, and those that this one has besides. */
    List<String> arrangements() {
        return arrangements;
    }

    List<Point> points(final Predicate<Point> which) {
        return runs.stream()
                .map(Placed::point)
                .distinct()
                .filter(which)
                .sorted(Point.ORDER)
                .toList();
    }

    List<Point> points(final String arrangement, final Predicate<Point> which) {
        return runs.stream()
                .filter(run -> run.arrangement().equals(arrangement))
                .map(Placed::point)
                .distinct()
                .filter(which)
                .sorted(Point.ORDER)
                .toList();
    }

    /** How often an arrangement was measured at a point. */
    long rounds(final String arrangement, final Point point) {
        return runs.stream()
                .filter(run ->
                        run.arrangement().equals(arrangement) && run.point().equals(point))
                .count();
    }

    OptionalDouble median(
            final String arrangement, final Optional<Point> point, final Function<Run, OptionalDouble> metric) {
        return Numbers.median(values(arrangement, point, metric));
    }

    /** From the least to the greatest of the rounds; its count is 0 when not measured. */
    DoubleSummaryStatistics spread(
            final String arrangement, final Optional<Point> point, final Function<Run, OptionalDouble> metric) {
        return values(arrangement, point, metric).summaryStatistics();
    }

    private DoubleStream values(
            final String arrangement, final Optional<Point> point, final Function<Run, OptionalDouble> metric) {
        return runs.stream()
                .filter(run -> run.arrangement().equals(arrangement)
                        && point.isPresent()
                        && run.point().equals(point.get()))
                .map(run -> metric.apply(run.run()))
                .filter(OptionalDouble::isPresent)
                .mapToDouble(OptionalDouble::getAsDouble);
    }

    /**
     * The point to compare arrangements at: the one that most of them were measured at; of several, the one around which
     * the others were chosen.
     */
    Optional<Point> centre(final Predicate<Point> which) {
        return points(which).stream()
                .max(Comparator.comparingLong(this::arrangementsAt)
                        .thenComparingLong(this::neighbours)
                        .thenComparing(Point::offloads)
                        .thenComparing(Point.ORDER.reversed()));
    }

    private long neighbours(final Point point) {
        return points(other -> point.distance(other) == 1).size();
    }

    private long arrangementsAt(final Point point) {
        return runs.stream()
                .filter(run -> run.point().equals(point))
                .map(Placed::arrangement)
                .distinct()
                .count();
    }

    /** As {@code wanted} in all but the rate where it was not measured at that rate. */
    Optional<Point> near(final String arrangement, final Point wanted) {
        final List<Point> there = new ArrayList<>(
                points(arrangement, point -> point.withRate(wanted.rate()).equals(wanted)));
        return there.contains(wanted) ? Optional.of(wanted) : there.stream().findFirst();
    }
}

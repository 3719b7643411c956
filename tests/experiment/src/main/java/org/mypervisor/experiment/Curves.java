package org.mypervisor.experiment;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.BiFunction;
import java.util.function.Function;

/** How numbers change with one parameter while all others stay where arrangements are compared. */
final class Curves {
    /** A parameter of the traffic. */
    private enum Axis {
        DENIED_SHARE("Denied share", "denied share", Point::deniedShare, Point::withDeniedShare),
        FRAME_BYTES("Packet size", "bytes of a frame", Point::frameBytes, Point::withFrameBytes),
        CHAIN(
                "Chain length",
                "middleboxes in the chain",
                point -> (double) point.chain(),
                (point, length) -> point.withChain(length.intValue()));

        private final String title;
        private final String unit;
        private final Function<Point, Double> value;
        private final BiFunction<Point, Double, Point> with;

        Axis(
                final String title,
                final String unit,
                final Function<Point, Double> value,
                final BiFunction<Point, Double, Point> with) {
            this.title = title;
            this.unit = unit;
            this.value = value;
            this.with = with;
        }
    }

    private record Metric(String name, String title, boolean paced, Function<Run, OptionalDouble> of) {}

    private static final List<Metric> METRICS = List.of(
            new Metric("cpu", "CPU ns/packet", true, Run::cpuNsPerPacket),
            new Metric(
                    "interrupts",
                    "guest interrupts per 1,000 allowed packets",
                    true,
                    Run::interruptsPerThousandAllowed),
            new Metric("pps", "UDP delivered, packets/s", false, Run::deliveredPerSecond));

    private final Results results;
    private final Headline headline;
    private final Charts charts;

    Curves(final Results results, final Headline headline, final Charts charts) {
        this.results = results;
        this.headline = headline;
        this.charts = charts;
    }

    void write(final Markdown report) throws IOException {
        for (final Axis axis : Axis.values()) {
            report.heading(2, axis.title);
            for (final Metric metric : METRICS) {
                write(report, axis, metric);
            }
        }
    }

    private void write(final Markdown report, final Axis axis, final Metric metric) throws IOException {
        report.heading(3, metric.title());
        final Optional<Point> centre = metric.paced() ? headline.paced() : headline.unpaced();
        final Map<String, TreeMap<Double, Double>> series = new LinkedHashMap<>();
        if (centre.isPresent()) {
            for (final String arrangement : results.arrangements()) {
                if (!arrangement.equals(Run.BASELINE) || !metric.paced()) {
                    series.put(arrangement, curve(arrangement, axis, metric, centre.get()));
                }
            }
        }
        series.values().removeIf(TreeMap::isEmpty);
        final String name = axis.name().toLowerCase(Locale.ROOT).replace('_', '-') + "-" + metric.name();
        final Optional<String> plot =
                charts.lines(name, metric.title() + " over " + axis.unit, axis.unit, metric.title(), series);
        if (plot.isEmpty()) {
            report.paragraph("Not measured for more than one value of: " + axis.unit + ".");
            return;
        }
        report.paragraph("Other parameters: " + centre.orElseThrow().describe() + ".");
        report.image(metric.title() + " over " + axis.unit, name);
        table(report, axis, series);
    }

    private TreeMap<Double, Double> curve(
            final String arrangement, final Axis axis, final Metric metric, final Point centre) {
        final TreeMap<Double, Double> curve = new TreeMap<>();
        for (final double x : results.points(arrangement, point -> true).stream()
                .map(axis.value)
                .distinct()
                .toList()) {
            final Optional<Point> point = results.near(arrangement, axis.with.apply(centre, x));
            results.median(arrangement, point, metric.of()).ifPresent(value -> curve.put(x, value));
        }
        return curve;
    }

    private static void table(
            final Markdown report, final Axis axis, final Map<String, TreeMap<Double, Double>> series) {
        final TreeSet<Double> xs = new TreeSet<>();
        series.values().forEach(curve -> xs.addAll(curve.keySet()));
        final List<String> header = new ArrayList<>(List.of(axis.unit));
        xs.forEach(x -> header.add(Numbers.text(x)));
        final List<List<String>> rows = new ArrayList<>();
        series.forEach((arrangement, curve) -> {
            final List<String> row = new ArrayList<>(List.of(arrangement));
            xs.forEach(x -> row.add(curve.containsKey(x) ? Numbers.text(curve.get(x)) : Numbers.NOT_MEASURED));
            rows.add(row);
        });
        report.table(header, rows);
    }
}

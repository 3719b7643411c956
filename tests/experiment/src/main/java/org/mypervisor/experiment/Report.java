package org.mypervisor.experiment;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.BiFunction;
import java.util.function.Function;

/** Writes report.md, its plots and cost-model.json. */
final class Report {
    static final String FILE = "report.md";
    static final String MODEL = "cost-model.json";

    /** Where CPU time was spent, as the report names it. */
    private static final Map<String, Function<Run.Cpu, Double>> PARTS = parts();

    private final Experiment experiment;
    private final Results results;
    private final Headline headline;
    private final CostFit fit;
    private final Charts charts;
    private final Markdown report = new Markdown();

    private Report(final Experiment experiment, final Path folder) {
        this.experiment = experiment;
        results = new Results(experiment.runs());
        headline = new Headline(results);
        fit = CostFit.of(experiment, results);
        charts = new Charts(folder, results.arrangements());
    }

    /** @return one line that tells what came of it */
    static String write(final Experiment experiment, final Path folder) throws IOException {
        Files.createDirectories(folder);
        final Report report = new Report(experiment, folder);
        final List<Promise> promises = Promise.of(report.headline, report.fit);
        Files.writeString(folder.resolve(FILE), report.text(promises));
        final Path model = folder.resolve(MODEL);
        if (report.fit.model().policies().isEmpty()) {
            // One of an earlier report would pass for this one's.
            Files.deleteIfExists(model);
        } else {
            Files.writeString(model, report.fit.model().toJson());
        }
        return "%s: %d of %d promises met, %d not measured"
                .formatted(
                        folder.resolve(FILE),
                        promises.stream().filter(Promise::isMet).count(),
                        promises.size(),
                        promises.stream()
                                .filter(promise -> promise.value().isEmpty())
                                .count());
    }

    private String text(final List<Promise> promises) throws IOException {
        report.heading(1, "What a middlebox costs, and where");
        machine();
        report.heading(2, "Promises");
        report.table(
                List.of("promise", "limit", "value", "result"),
                promises.stream().map(Promise::row).toList());
        headline();
        section("Guest interrupts", "interrupts", headline.interrupts);
        section("Client TCP", "tcp", headline.tcp);
        section("nginx", "nginx", headline.requests);
        section("Latency", "latency", headline.pingMedian, headline.pingP99);
        section("UDP, as fast as it goes", "udp-pps", headline.delivered);
        section("CPU time per GB", "cpu-per-gb", headline.cpuPerGigabyte);
        section("CPU time per million packets", "cpu-per-million", headline.cpuPerMillion);
        spent();
        section("Mypervisor's workers", "worker", headline.worker);
        new Curves(results, headline, charts).write(report);
        new ModelSection(fit, charts).write(report);
        return report.toString();
    }

    private void machine() {
        final Experiment.Machine machine = experiment.machine();
        final List<List<String>> rows = new ArrayList<>();
        rows.add(List.of("date", text(experiment.date())));
        rows.add(List.of("machine", text(machine.cpus()) + " CPUs, " + text(machine.cpuModel())));
        rows.add(List.of("kernel", text(machine.kernel())));
        rows.add(List.of("accelerator", text(machine.accelerator())));
        rows.add(List.of("QEMU", text(machine.qemu())));
        rows.add(List.of("JDK", text(machine.jdk())));
        rows.add(List.of("grid", text(experiment.grid())));
        rows.add(List.of("runs", Integer.toString(experiment.runs().size())));
        rows.add(
                List.of("took", experiment.seconds() == null ? "not told" : Numbers.text(experiment.seconds()) + " s"));
        experiment.commands().forEach((name, command) -> rows.add(List.of(name, "`" + text(command) + "`")));
        report.table(List.of("", "measured with"), rows);
        report.paragraph("Values are medians over rounds, with the least and the greatest in brackets. " + repeated()
                + " CPU time is that of the whole host without `" + Run.BASELINE
                + "`, the end points' own cost for the same traffic over one bridge; it can be below 0 where an"
                + " arrangement takes less than that bridge. Paced UDP goes in turns through arrangement and baseline, of"
                + " whose pairs the middle half counts, by their difference. `kernel` and `tap-echo` are bounds: the same work done"
                + " by the host's kernel, and by a program that only copies between two taps.");
    }

    /** Medians of what was kept would otherwise hide what was not. */
    private String repeated() {
        final long repeated = experiment.runs().stream()
                .filter(run -> run.tries() != null && run.tries() > 1)
                .count();
        return "Of %d runs %d were made again, because paced frames had been lost, their sender had been held up, or the machine was busy with something else."
                .formatted(experiment.runs().size(), repeated);
    }

    private static String text(final Object value) {
        return value == null ? "not told" : value.toString();
    }

    private void headline() {
        report.heading(2, "Every arrangement");
        final List<Column> columns = headline.columns();
        table(columns, (column, arrangement) -> Numbers.text(column.of(arrangement)));
        final Map<String, List<String>> points = new LinkedHashMap<>();
        columns.forEach(column -> points.computeIfAbsent(column.where(), where -> new ArrayList<>())
                .add(column.title()));
        points.forEach((where, titles) -> report.paragraph(String.join("; ", titles) + ": " + where + "."));
        for (final String to : List.of("traditional", "tap-echo")) {
            report.heading(3, "As multiples of " + to);
            table(columns, (column, arrangement) -> multiple(column, arrangement, to));
        }
    }

    private static String multiple(final Column column, final String arrangement, final String of) {
        if (column.of(arrangement).isEmpty() || column.of(of).isEmpty()) {
            return Numbers.NOT_MEASURED;
        }
        // Nothing is a multiple of 0 interrupts.
        final OptionalDouble ratio = column.ratio(arrangement, of);
        return ratio.isEmpty() ? "–" : Numbers.text(ratio) + " ×";
    }

    private void table(final List<Column> columns, final BiFunction<Column, String, String> cell) {
        final List<String> header = new ArrayList<>(List.of("arrangement"));
        columns.forEach(column -> header.add(column.title()));
        final List<List<String>> rows = new ArrayList<>();
        for (final String arrangement : results.arrangements()) {
            final List<String> row = new ArrayList<>(List.of(arrangement));
            columns.forEach(column -> row.add(cell.apply(column, arrangement)));
            rows.add(row);
        }
        report.table(header, rows);
    }

    private void section(final String title, final String name, final Column... columns) throws IOException {
        report.heading(2, title);
        report.paragraph(columns[0].where() + ".");
        final Map<String, Map<String, Double>> series = new LinkedHashMap<>();
        for (final Column column : columns) {
            series.put(column.title(), column.values());
        }
        if (charts.bars(name, title, columns.length == 1 ? columns[0].title() : "µs", series)
                .isPresent()) {
            report.image(title, name);
        }
        final List<String> header = new ArrayList<>(List.of("arrangement"));
        for (final Column column : columns) {
            header.addAll(List.of(column.title(), "of traditional", "of tap-echo"));
        }
        final List<List<String>> rows = new ArrayList<>();
        for (final String arrangement : results.arrangements()) {
            final List<String> row = new ArrayList<>(List.of(arrangement));
            for (final Column column : columns) {
                row.add(column.withSpread(arrangement));
                row.add(multiple(column, arrangement, "traditional"));
                row.add(multiple(column, arrangement, "tap-echo"));
            }
            rows.add(row);
        }
        report.table(header, rows);
    }

    /** All CPU time by where it was spent, that of the end points too. */
    private void spent() throws IOException {
        report.heading(2, "Where CPU time is spent");
        report.paragraph(headline.cpuPerPacket.where() + ". All of the host, end points included.");
        final Map<String, Map<String, Double>> series = new LinkedHashMap<>();
        PARTS.forEach((part, of) -> series.put(
                part,
                new Column(part, results, headline.paced(), run -> run.nsPerPacket(of.apply(run.cpuS()))).values()));
        final String title = "CPU time by where it is spent";
        if (charts.stacked("cpu-spent", title, "ns/packet", series).isPresent()) {
            report.image(title, "cpu-spent");
        }
        final List<String> header = new ArrayList<>(List.of("arrangement, ns/packet"));
        header.addAll(PARTS.keySet());
        header.add("net of end points");
        final List<List<String>> rows = new ArrayList<>();
        for (final String arrangement : results.arrangements()) {
            final List<String> row = new ArrayList<>(List.of(arrangement));
            series.values().forEach(values -> {
                final Double value = values.get(arrangement);
                row.add(value == null ? Numbers.NOT_MEASURED : Numbers.text(value));
            });
            row.add(Numbers.text(headline.cpuPerPacket.of(arrangement)));
            rows.add(row);
        }
        report.table(header, rows);
    }

    private static Map<String, Function<Run.Cpu, Double>> parts() {
        final Map<String, Function<Run.Cpu, Double>> parts = new LinkedHashMap<>();
        parts.put("QEMU of middleboxes", Run.Cpu::qemu);
        parts.put("Mypervisor", Run.Cpu::mypervisor);
        parts.put("echo program", Run.Cpu::echo);
        parts.put("softirq", Run.Cpu::softirq);
        parts.put("end points", Run.Cpu::endpoints);
        parts.put("rest", Run.Cpu::rest);
        return parts;
    }
}

package org.mypervisor.offload.cli;

import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.mypervisor.offload.control.RulesReport;
import org.mypervisor.offload.control.StatsReport;

/** The counters as text for people. */
final class StatsTable {
    private StatsTable() {}

    /** @param before an earlier report, for rates, or null */
    static String of(final StatsReport report, final StatsReport before) {
        final StringBuilder text = new StringBuilder();
        text.append("up %.0f s%n".formatted(report.uptimeS()));
        text.append("%n%-16s %-7s %14s %14s %10s %10s  %s%n"
                .formatted("port", "state", "received", "sent", "kicks", "calls", "drops and faults"));
        for (final StatsReport.PortStats port : report.ports()) {
            text.append("%-16s %-7s %14d %14d %10d %10d  %s%n"
                    .formatted(
                            port.id(),
                            port.state(),
                            port.received().packets(),
                            port.sent().packets(),
                            port.kicks(),
                            port.calls(),
                            nonZero(port)));
        }
        text.append("%n%14s %14s%s  %s%n".formatted("packets", "bytes", before == null ? "" : "        pps", "path"));
        for (int i = 0; i < report.paths().size(); i++) {
            final StatsReport.PathStats path = report.paths().get(i);
            text.append("%14d %14d%s  %s  %s%n"
                    .formatted(
                            path.packets(), path.bytes(), rate(report, before, i), path.path(), nonZero(path.drops())));
            for (final StatsReport.ElementStats element : path.elements()) {
                text.append("%31s%s %s%n".formatted("", element.element(), nonZero(element.counts())));
            }
        }
        text.append("%n%-8s %14s %12s %10s %8s%n".formatted("worker", "packets", "bursts", "ns/packet", "busy"));
        for (final StatsReport.WorkerStats worker : report.workers()) {
            text.append("%-8s %14d %12d %10s %7.1f%%%n"
                    .formatted(
                            worker.cpu() < 0 ? "any cpu" : "cpu " + worker.cpu(),
                            worker.packets(),
                            worker.bursts(),
                            worker.packets() == 0 ? "-" : "%.1f".formatted((double) worker.busyNs() / worker.packets()),
                            100.0 * worker.busyNs() / Math.max(1, worker.busyNs() + worker.idleNs())));
        }
        return text.toString().stripTrailing();
    }

    static String of(final RulesReport report) {
        final StringBuilder text = new StringBuilder();
        for (final RulesReport.FilterStats filter : report.filters()) {
            text.append("%s%n%14s  %s%n".formatted(filter.path(), "hits", "rule"));
            filter.rules().forEach(rule -> text.append("%14d  %s%n".formatted(rule.hits(), rule.rule())));
        }
        return text.isEmpty() ? "no path has a filter" : text.toString().stripTrailing();
    }

    private static String rate(final StatsReport report, final StatsReport before, final int path) {
        if (before == null || path >= before.paths().size()) {
            return before == null ? "" : "%11s".formatted("-");
        }
        final double seconds = report.uptimeS() - before.uptimeS();
        final long packets =
                report.paths().get(path).packets() - before.paths().get(path).packets();
        return "%11.0f".formatted(seconds <= 0 ? 0 : packets / seconds);
    }

    private static String nonZero(final StatsReport.PortStats port) {
        final String missed = port.missed() == 0 ? "" : "missed=" + port.missed();
        return Stream.of(nonZero(port.drops()), nonZero(port.faults()), missed)
                .filter(counts -> !counts.isEmpty())
                .collect(Collectors.joining(" "));
    }

    private static String nonZero(final Map<String, Long> counts) {
        return counts.entrySet().stream()
                .filter(entry -> entry.getValue() != 0)
                .map(entry -> entry.getKey() + "=" + entry.getValue())
                .collect(Collectors.joining(" "));
    }
}

package org.mypervisor.offload;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.mypervisor.offload.control.RulesReport;
import org.mypervisor.offload.control.StatsReport;
import org.mypervisor.virtqueue.RingFault;

/** Reads the counters of ports, paths and workers into a {@link StatsReport}. Any thread. */
final class StatsCollector {
    private static final DropReason[] PORT_REASONS = {
        DropReason.NO_BUFFER, DropReason.DOWN, DropReason.DISABLED, DropReason.TOO_BIG, DropReason.NO_PATH
    };
    private static final DropReason[] PATH_REASONS = {DropReason.DENIED, DropReason.UNPARSABLE, DropReason.VM_DOWN};

    private StatsCollector() {}

    static StatsReport.PortStats port(final Port port, final String type, final Attachment attachment) {
        return new StatsReport.PortStats(
                port.id(),
                type,
                attachment.isDone() ? "done" : attachment.state().name().toLowerCase(Locale.ROOT),
                "0x%x".formatted(attachment.features()),
                port.queuePairs(),
                new StatsReport.Traffic(port.receivedPackets.get(), port.receivedBytes.get()),
                new StatsReport.Traffic(port.sentPackets.get(), port.sentBytes.get()),
                drops(port.drops, PORT_REASONS),
                port.kicks.get(),
                port.calls.get(),
                faults(port),
                attachment.missed(),
                attachment.mode());
    }

    static StatsReport.PathStats path(final Path path) {
        return new StatsReport.PathStats(
                path.text(), path.packets.get(), path.bytes.get(), drops(path.drops, PATH_REASONS), elements(path));
    }

    /** A worker's frames are those taken from the ports it runs. */
    static StatsReport.WorkerStats worker(final Worker worker, final List<Port> ports) {
        return new StatsReport.WorkerStats(
                worker.cpu(),
                ports.stream()
                        .filter(port -> port.worker() == worker)
                        .mapToLong(port -> port.receivedPackets.get())
                        .sum(),
                worker.bursts.get(),
                worker.busyNanos.get(),
                worker.idleNanos.get());
    }

    private static Map<String, Long> drops(final Counter[] counters, final DropReason[] reasons) {
        final Map<String, Long> drops = new LinkedHashMap<>();
        for (final DropReason reason : reasons) {
            drops.put(reason.key(), counters[reason.ordinal()].get());
        }
        return drops;
    }

    private static Map<String, Long> faults(final Port port) {
        final Map<String, Long> faults = new LinkedHashMap<>();
        for (int i = 0; i < RingFault.COUNT; i++) {
            if (port.faults[i].get() != 0) {
                faults.put(RingFault.of(i).key(), port.faults[i].get());
            }
        }
        return faults;
    }

    /** Sums each element over the source's queues. */
    private static List<StatsReport.ElementStats> elements(final Path path) {
        final List<StatsReport.ElementStats> stats = new ArrayList<>();
        for (int i = 0; i < path.elements().get(0).length; i++) {
            final Map<String, Long> sums = new LinkedHashMap<>();
            String name = "";
            for (final Element[] queue : path.elements()) {
                name = queue[i].name();
                queue[i].counts().forEach((key, value) -> sums.merge(key, value, Long::sum));
            }
            stats.add(new StatsReport.ElementStats(name, sums));
        }
        return stats;
    }

    /** The filters of a path, each summed over the source's queues. */
    static Stream<RulesReport.FilterStats> filters(final Path path) {
        return IntStream.range(0, path.elements().get(0).length)
                .filter(i -> path.elements().get(0)[i] instanceof FilterElement)
                .mapToObj(i -> new RulesReport.FilterStats(path.text(), hits(path, i)));
    }

    private static List<RulesReport.RuleStats> hits(final Path path, final int element) {
        final Map<String, Long> sums = new LinkedHashMap<>();
        for (final Element[] queue : path.elements()) {
            // The line number keeps two rules of the same words apart.
            int line = 0;
            for (final FilterElement.RuleHits hits : ((FilterElement) queue[element]).hits()) {
                sums.merge(line++ + " " + hits.rule(), hits.frames(), Long::sum);
            }
        }
        return sums.entrySet().stream()
                .map(sum -> new RulesReport.RuleStats(
                        sum.getKey().substring(sum.getKey().indexOf(' ') + 1), sum.getValue()))
                .toList();
    }
}

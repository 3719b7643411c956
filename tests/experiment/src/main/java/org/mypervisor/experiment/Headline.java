package org.mypervisor.experiment;

import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;

/** The numbers that every arrangement is first judged by, each at one point of the experiment. */
final class Headline {
    private static final double SMALL = 64;

    private final Results results;
    private final Optional<Point> paced;
    private final Optional<Point> unpaced;
    final Column interrupts;
    final Column tcp;
    final Column requests;
    final Column pingMedian;
    final Column pingP99;
    final Column delivered;
    final Column cpuPerGigabyte;
    final Column cpuPerMillion;
    final Column cpuPerPacket;
    final Column worker;

    Headline(final Results results) {
        this.results = results;
        paced = small(true);
        unpaced = small(false);
        final Optional<Point> stream = centre(point -> point.traffic().equals("tcp") && !point.paced());
        final Optional<Point> pacedStream = centre(point -> point.traffic().equals("tcp") && point.paced());
        final Optional<Point> http = centre(point -> point.traffic().equals("http"));
        final Optional<Point> ping = centre(point -> point.traffic().equals("ping"));
        interrupts = new Column(
                "guest interrupts per 1,000 allowed packets", results, paced, Run::interruptsPerThousandAllowed);
        tcp = new Column("client TCP, Mbit/s", results, stream, Run::megabitsPerSecond);
        requests = new Column("nginx, requests/s", results, http, Run::requestsPerSecond);
        pingMedian = new Column(
                "latency, median µs",
                results,
                ping,
                run -> Run.of(run.latencyUs().median()));
        pingP99 = new Column(
                "latency, p99 µs", results, ping, run -> Run.of(run.latencyUs().p99()));
        delivered = new Column("UDP delivered, packets/s", results, unpaced, Run::deliveredPerSecond);
        cpuPerGigabyte = new Column("CPU s per GB of TCP", results, pacedStream, Run::cpuSecondsPerGigabyte);
        cpuPerMillion = new Column("CPU s per million packets", results, paced, Run::cpuSecondsPerMillionPackets);
        cpuPerPacket = new Column("CPU ns/packet", results, paced, Run::cpuNsPerPacket);
        worker = new Column("worker, busy ns/packet", results, paced, Run::workerNsPerPacket);
    }

    private Optional<Point> small(final boolean isPaced) {
        return centre(
                point -> point.traffic().equals("udp") && point.paced() == isPaced && point.frameBytes() == SMALL);
    }

    private Optional<Point> centre(final Predicate<Point> which) {
        return results.centre(point -> point.chain() == 1 && which.test(point));
    }

    Optional<Point> paced() {
        return paced;
    }

    Optional<Point> unpaced() {
        return unpaced;
    }

    List<Column> columns() {
        return List.of(
                interrupts, tcp, requests, pingMedian, pingP99, delivered, cpuPerGigabyte, cpuPerMillion, worker);
    }
}

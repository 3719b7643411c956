package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/**
 * Kills the back-end again and again while TCP fills the rings of both directions, and holds each new process to what
 * users are promised: answers come back in time, so does the traffic, no descriptor is lost for ever, and the rate
 * afterwards is the rate before.
 */
final class KillSeries {
    private static final double LIMIT_SECONDS = 3;
    private static final double FULL_RATE = 0.9;

    /** Further addresses of both guests, whose neighbours are fixed: no ARP. */
    private static final String FIXED_SUBJECT = "10.9.0.3";

    private static final String FIXED_PEER = "10.9.0.4";

    /**
     * Of emulated guests on two CPUs, transfers scatter by two and a half, by who gets a CPU; what they reach at best does not.
     * Upper deciles of 41 find a rate that fell to 0.8 in 99 of 100 cases and fail without cause in one of 150; medians of 15
     * do so in 77 of 100 and one of 4 (resampled from 60 transfers).
     */
    private static final int TRANSFERS = 41;

    private static final double DECILE = 0.9;

    /**
     * So often afterwards. The machine has slower minutes of its own; a ring that lost something stays slow, and by the same
     * figures three looks miss a rate that fell to 0.8 in 3 of 100 cases.
     */
    private static final int LOOKS = 3;

    private static final int MEGABYTES = 100;

    private static final int WARM_UPS = 5;

    private static final int COUNT_EVERY = 3;

    private static final int PROBE_MILLIS = 20;

    private final QemuLab lab;
    private final RingCensus census;
    private final Streams streams;
    private final List<Double> fixed = new ArrayList<>();
    private final List<Double> learned = new ArrayList<>();

    /** Of emulated guests, on a machine that has other things to do: to be read beside a time that is too long. */
    private final List<Double> starved = new ArrayList<>();

    KillSeries(final QemuLab lab) {
        this.lab = lab;
        this.census = new RingCensus(lab);
        this.streams = new Streams(lab, FIXED_SUBJECT, FIXED_PEER);
    }

    void run(final int kills) throws IOException, InterruptedException {
        fixNeighbours();
        final List<Double> before = rates();
        streams.start();
        for (int i = 1; i <= kills; i++) {
            streams.awaitFlow();
            killOnce();
            System.out.printf(
                    "kill %d: answers after %.2f s, those that need ARP first after %.2f s;"
                            + " meanwhile the guests waited %.2f s for a CPU%n",
                    i, fixed.get(i - 1), learned.get(i - 1), starved.get(i - 1));
            if (i % COUNT_EVERY == 0 || i == kills) {
                streams.awaitFlow();
                streams.stop();
                census.check();
                if (i < kills) {
                    streams.start();
                }
            }
        }
        report("answers", fixed);
        report("answers that need ARP first", learned);
        checkRate(before);
        assertTrue(Collections.max(fixed) < LIMIT_SECONDS, "answers came back after " + fixed);
        assertTrue(Collections.max(learned) < LIMIT_SECONDS, "with ARP, answers came back after " + learned);
    }

    private void checkRate(final List<Double> before) throws IOException {
        boolean full = false;
        String figures = "TCP before " + before + " Mbit/s";
        for (int look = 0; look < LOOKS && !full; look++) {
            final List<Double> after = rates();
            figures += ", after " + after;
            full = upperDecile(after) >= FULL_RATE * upperDecile(before);
        }
        System.out.println(figures);
        assertTrue(full, figures);
    }

    /** Rates in Mbit/s, of the slower direction each; the first transfers only warm a new process up. */
    private List<Double> rates() throws IOException {
        for (int i = 0; i < WARM_UPS; i++) {
            lab.transfer(MEGABYTES);
        }
        final List<Double> rates = new ArrayList<>();
        for (int i = 0; i < TRANSFERS; i++) {
            rates.add(lab.transfer(MEGABYTES));
        }
        return rates;
    }

    private static double upperDecile(final List<Double> figures) {
        return figures.stream().sorted().toList().get((int) (DECILE * (figures.size() - 1)));
    }

    private static double median(final List<Double> figures) {
        return figures.stream().sorted().toList().get(figures.size() / 2);
    }

    private static void report(final String what, final List<Double> seconds) {
        System.out.printf(
                "%d kills, %s after %.2f s (median), %.2f s (most)%n",
                seconds.size(), what, median(seconds), Collections.max(seconds));
    }

    /** The carrier goes with the back-end, and what ARP learned with it: then a guest asks ten times a second. */
    private void fixNeighbours() throws IOException {
        fixNeighbour(lab.subject(), FIXED_SUBJECT, lab.peer(), FIXED_PEER);
        fixNeighbour(lab.peer(), FIXED_PEER, lab.subject(), FIXED_SUBJECT);
        for (final Guest guest : new Guest[] {lab.subject(), lab.peer()}) {
            guest.must("echo 100 > /proc/sys/net/ipv4/neigh/nic0/retrans_time_ms");
        }
    }

    private static void fixNeighbour(final Guest guest, final String own, final Guest neighbour, final String address)
            throws IOException {
        final String mac = neighbour.must("cat /sys/class/net/nic0/address").trim();
        guest.must("ip addr add %s/32 dev nic0 2> /dev/null; arp -i nic0 -s %s %s".formatted(own, address, mac));
    }

    /** Adds the seconds from the start of the new process to the first answer to pings that ran all the time. */
    private void killOnce() throws IOException, InterruptedException {
        probe("fixed", FIXED_SUBJECT, FIXED_PEER);
        probe("learned", QemuLab.SUBJECT, QemuLab.PEER);
        streams.awaitFlow();
        final double waitedBefore = waitedForCpu();
        // The next process begins to count anew.
        lab.backend().checkNoFaults();
        final long kill = System.nanoTime();
        lab.backend().killHard();
        final long start = System.nanoTime();
        lab.startBackend();
        lab.backend().awaitControl();
        streams.awaitFlow();
        Thread.sleep(2 * PROBE_MILLIS);
        starved.add(waitedForCpu() - waitedBefore);
        fixed.add((outageNanos("fixed") - (start - kill)) / 1e9);
        learned.add((outageNanos("learned") - (start - kill)) / 1e9);
    }

    /** Seconds in which the guests' threads could have run and did not, as the kernel counts them. */
    private double waitedForCpu() throws IOException {
        double nanos = 0;
        for (final Guest guest : new Guest[] {lab.subject(), lab.peer()}) {
            try (DirectoryStream<Path> tasks = Files.newDirectoryStream(Path.of("/proc/" + guest.pid() + "/task"))) {
                for (final Path task : tasks) {
                    nanos += Double.parseDouble(
                            Files.readString(task.resolve("schedstat")).split(" ")[1]);
                }
            }
        }
        return nanos / 1e9;
    }

    private void probe(final String name, final String from, final String to) throws IOException {
        lab.subject()
                .must("traffic outage %1$s %2$s %3$d > /tmp/%4$s 2>&1 & echo $! > /tmp/%4$s.pid; sleep 0.3"
                        .formatted(from, to, PROBE_MILLIS, name));
    }

    /** From the last answer before the kill to the first one after it. */
    private long outageNanos(final String name) throws IOException {
        final String[] answersAndMicros = lab.subject()
                .must("kill $(cat /tmp/%1$s.pid); until grep -q . /tmp/%1$s; do sleep 0.05; done; cat /tmp/%1$s"
                        .formatted(name))
                .trim()
                .split(" ");
        return 1000 * Long.parseLong(answersAndMicros[1]);
    }
}

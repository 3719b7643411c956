package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** DPDK's virtio-user as front-end of both ends of a path, generating frames as fast as it can. */
final class TestpmdIT {
    private static final List<String> PORTS = List.of("a", "b");

    /** Frames that a direction's rings can hold when the generator stops. */
    private static final long IN_RINGS = 2 * Testpmd.RING_SIZE;

    @TempDir
    private Path folder;

    @BeforeEach
    void needTestpmd() {
        assumeTrue(Testpmd.missing() == null, Testpmd::missing);
    }

    private interface Checks {
        void on(JsonNode stats, Testpmd.Totals generator) throws IOException;
    }

    private void run(final String path, final Checks checks) throws IOException, InterruptedException {
        try (BackendProcess backend = BackendProcess.start(
                folder,
                BackendProcess.options(
                        folder, PORTS, "--path", path, "--poll", "busy", "--cpus", Testpmd.backendCpu()))) {
            backend.awaitControl();
            final Testpmd.Totals totals =
                    Testpmd.generate(folder, folder.resolve("a"), folder.resolve("b"), Testpmd.seconds());
            System.out.printf("testpmd, path %s: %s%n%s%n", path, totals, backend.stats());
            checks.on(backend.stats(), totals);
            backend.stop();
        }
    }

    private static long drops(final JsonNode stats) {
        long sum = 0;
        for (final String list : new String[] {"ports", "paths"}) {
            for (final JsonNode row : stats.get(list)) {
                for (final JsonNode count : row.get("drops")) {
                    sum += count.asLong();
                }
            }
        }
        return sum;
    }

    private static void checkConservation(final JsonNode stats, final Testpmd.Totals generator) {
        assertTrue(generator.transmitted() > 100_000, "frames really moved: " + generator);
        final long missing = generator.transmitted() - generator.received();
        final long drops = drops(stats);
        assertTrue(
                missing >= drops && missing - drops <= 2 * IN_RINGS,
                "tx - rx = " + missing + ", drops = " + drops + ", rings hold up to " + 2 * IN_RINGS);
    }

    @Test
    void shouldAccountForEveryFrameOfTheWire() throws IOException, InterruptedException {
        run("a <-> b", (stats, generator) -> {
            checkConservation(stats, generator);
            for (final JsonNode port : stats.get("ports")) {
                assertTrue(port.get("received").get("packets").asLong() > 50_000, "both ways: " + port);
                assertTrue(port.get("sent").get("packets").asLong() > 50_000, "both ways: " + port);
            }
        });
    }

    @Test
    void shouldDenyExactlyTheShareThatTenRulesSay() throws IOException, InterruptedException {
        // The generator walks through 1,024 destination addresses in turn; the last rule but one denies 128 of them.
        final Path rules = Files.write(
                folder.resolve("ten.rules"),
                List.of(
                        "deny tcp from any to any port 80",
                        "deny icmp from any to 10.0.0.7",
                        "deny ip6 from any to any",
                        "deny udp from any to any port 53",
                        "deny udp from 192.168.0.0/16 to any",
                        "deny tcp from any to 10.253.0.0/16",
                        "deny arp",
                        "deny ether type 0x88cc",
                        "deny udp from any to " + Testpmd.FIRST_EIGHTH_OF_FLOWS,
                        "allow ip from any to any",
                        "default deny"));
        run("a <-> filter(rules=" + rules + ") <-> b", (stats, generator) -> {
            checkConservation(stats, generator);
            long packets = 0;
            long denied = 0;
            for (final JsonNode path : stats.get("paths")) {
                packets += path.get("packets").asLong();
                denied += path.get("drops").get("denied").asLong();
            }
            // Both directions take their flows from one counter, so the sum is known to the frame.
            final long eighth = Testpmd.FLOWS / 8;
            assertEquals(
                    packets / Testpmd.FLOWS * eighth + Math.min(packets % Testpmd.FLOWS, eighth),
                    denied,
                    packets + " frames judged");
        });
    }
}

package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two real QEMU guests on the two ends of a wire. */
final class QemuGuestsIT {
    private static final List<String> PORTS = List.of("a", "b");
    private static final double TICKS_PER_SECOND = 100;

    @TempDir
    private Path folder;

    private BackendProcess backend;
    private Guest a;
    private Guest b;

    @BeforeEach
    void bootTwoGuests() throws IOException, InterruptedException {
        assumeTrue(Guest.missing() == null, Guest::missing);
        backend = startBackend();
        backend.awaitControl();
        a = Guest.start(folder, "a", folder.resolve("a").toString());
        b = Guest.start(folder, "b", folder.resolve("b").toString());
        a.awaitBoot().must("ip addr add 10.9.0.1/24 dev nic0 && ip link set nic0 up");
        b.awaitBoot().must("ip addr add 10.9.0.2/24 dev nic0 && ip link set nic0 up");
        backend.awaitUp("a", "b");
    }

    private BackendProcess startBackend() throws IOException {
        return BackendProcess.start(folder, BackendProcess.options(folder, PORTS, "--path", "a <-> b"));
    }

    @AfterEach
    void end() throws IOException {
        if (a != null) {
            a.close();
        }
        if (b != null) {
            b.close();
        }
        if (backend != null) {
            backend.close();
        }
    }

    @Test
    void shouldCarryPingsOfAllSizesWithoutLoss() throws IOException, InterruptedException {
        for (final int size : new int[] {1, 56, 1000, 1472}) {
            a.ping("10.9.0.2", 100, size);
        }
        assertTrue(backend.port("a").get("received").get("packets").asLong() >= 400);
        backend.stop();
        assertTrue(Files.notExists(folder.resolve("a")), "our socket is gone after SIGTERM");
    }

    @Test
    void shouldBringConnectivityBackAfterKillUnderTrafficWithinThreeSeconds() throws IOException, InterruptedException {
        for (int round = 0; round < 3; round++) {
            a.must("ping -i 0.05 10.9.0.2 > /tmp/flood 2>&1 & echo $! > /tmp/flood.pid");
            backend.killHard();
            final int before = replies();
            final long start = System.nanoTime();
            backend = startBackend();
            Waiting.until("a reply", Duration.ofSeconds(20), () -> replies() > before);
            final double seconds = (System.nanoTime() - start) / 1e9;
            System.out.printf("round %d: connectivity %.2f s after the new process's start%n", round, seconds);
            assertTrue(seconds < 3, "connectivity came back after " + seconds + " s");
            a.must("kill $(cat /tmp/flood.pid)");
            a.ping("10.9.0.2", 100, 56);
        }
    }

    /** Answers that the running ping has had. */
    private int replies() throws IOException {
        return Integer.parseInt(
                a.run("grep -c 'bytes from' /tmp/flood").output().strip());
    }

    @Test
    void shouldUseUnderTwoPercentOfACoreWhenIdle() throws IOException, InterruptedException {
        a.must("ping -q -c 20 -i 0.01 10.9.0.2");
        Thread.sleep(2000);
        final double span = 10;
        final double before = cpuSeconds(backend.pid());
        Thread.sleep((long) (span * 1000));
        final double share = (cpuSeconds(backend.pid()) - before) / span;
        System.out.printf("idle back-end: %.2f %% of a core%n", 100 * share);
        assertTrue(share < 0.02, "an idle back-end used " + 100 * share + " % of a core");
    }

    private static double cpuSeconds(final long pid) throws IOException {
        final String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
        final String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) / TICKS_PER_SECOND;
    }

    @Test
    void shouldResumeWhenAGuestReboots() throws IOException, InterruptedException {
        a.must("ping -q -c 5 -i 0.01 10.9.0.2");
        a.close();
        Waiting.until(
                "port a is down",
                Duration.ofSeconds(5),
                () -> backend.port("a").get("state").asText().equals("down"));
        a = Guest.start(folder, "a2", folder.resolve("a").toString());
        a.awaitBoot().must("ip addr add 10.9.0.1/24 dev nic0 && ip link set nic0 up");
        backend.awaitUp("a");
        assertEquals(0, a.run("ping -q -c 20 -i 0.01 10.9.0.2").status());
    }
}

package org.mypervisor.integration;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How dpdk-testpmd is run.
 *
 * @param server whether its ports listen and the back-end connects
 * @param options further ones of its virtio-user ports, each behind a comma
 */
record TestpmdSetup(boolean server, int queues, int ringSize, boolean hugePages, String options) {
    private static final Pattern TOTALS =
            Pattern.compile("Accumulated.*?RX-packets: (\\d+).*?TX-packets: (\\d+)", Pattern.DOTALL);
    private static final long ENOUGH_HUGE_PAGES = 160;

    TestpmdSetup() {
        this(false, 1, Testpmd.RING_SIZE, false, "");
    }

    TestpmdSetup asServer() {
        return new TestpmdSetup(true, queues, ringSize, hugePages, options);
    }

    TestpmdSetup queues(final int pairs) {
        return new TestpmdSetup(server, pairs, ringSize, hugePages, options);
    }

    TestpmdSetup ringSize(final int size) {
        return new TestpmdSetup(server, queues, size, hugePages, options);
    }

    TestpmdSetup onHugePages() {
        return new TestpmdSetup(server, queues, ringSize, true, options);
    }

    TestpmdSetup option(final String option) {
        return new TestpmdSetup(server, queues, ringSize, hugePages, options + "," + option);
    }

    /** Why there can be no huge pages, or null. */
    static String hugePagesMissing() throws IOException {
        final Path free = Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
        return Files.exists(free) && Long.parseLong(Files.readString(free).trim()) >= ENOUGH_HUGE_PAGES
                ? null
                : "fewer than " + ENOUGH_HUGE_PAGES
                        + " free huge pages of 2 MiB; sysctl vm.nr_hugepages=256 makes some";
    }

    /** Decides how long frames are generated. */
    interface Pause {
        void await() throws IOException, InterruptedException;
    }

    /** Generates during a pause, and again after each of the restarts of its ports. */
    Testpmd.Totals generate(final Path folder, final Path a, final Path b, final Pause pause, final int restarts)
            throws IOException, InterruptedException {
        final Path log = folder.resolve("testpmd.log");
        final Process process = new ProcessBuilder(command(a, b))
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            final OutputStream commands = process.getOutputStream();
            Waiting.until(
                    "testpmd is ready",
                    Duration.ofSeconds(60),
                    () -> !process.isAlive() || Files.readString(log).contains("testpmd>"));
            long transmitted = 0;
            long received = 0;
            for (int i = 0; i <= restarts; i++) {
                say(commands, i == 0 ? "start" : "port stop all\nport start all\nstart");
                pause.await();
                say(commands, "stop");
            }
            // What it prints on stop may stay in its buffer until it ends.
            say(commands, "quit");
            if (!process.waitFor(30, TimeUnit.SECONDS)) {
                throw new AssertionError("testpmd does not end: " + Files.readString(log));
            }
            final Matcher totals = TOTALS.matcher(Files.readString(log));
            int runs = 0;
            while (totals.find()) {
                received += Long.parseLong(totals.group(1));
                transmitted += Long.parseLong(totals.group(2));
                runs++;
            }
            if (runs != restarts + 1) {
                throw new AssertionError("testpmd printed " + runs + " totals: " + Files.readString(log));
            }
            return new Testpmd.Totals(transmitted, received);
        } finally {
            process.destroyForcibly().onExit().join();
        }
    }

    private static void say(final OutputStream commands, final String command) throws IOException {
        commands.write((command + "\n").getBytes(StandardCharsets.UTF_8));
        commands.flush();
    }

    private List<String> command(final Path a, final Path b) {
        final List<String> command = new ArrayList<>(List.of("dpdk-testpmd", "--lcores", "0@0,1@0", "--no-pci"));
        // Without huge pages it is slower, and no less correct. With them, this form needs no mount.
        command.addAll(hugePages ? List.of("--in-memory", "--single-file-segments") : List.of("--no-huge"));
        command.addAll(List.of("-m", "256", "--no-telemetry"));
        if (!hugePages) {
            command.addAll(
                    List.of("--file-prefix", "it" + ProcessHandle.current().pid()));
        }
        for (int i = 0; i < 2; i++) {
            command.add("--vdev=net_virtio_user%d,path=%s,queues=%d,queue_size=%d%s%s%s"
                    .formatted(
                            i,
                            i == 0 ? a : b,
                            queues,
                            ringSize,
                            queues > 1 ? ",cq=1" : "",
                            server ? ",server=1" : "",
                            options));
        }
        command.addAll(List.of("--", "-i", "--nb-cores=1", "--forward-mode=flowgen"));
        command.addAll(List.of("--txd=" + ringSize, "--rxd=" + ringSize, "--txq=" + queues, "--rxq=" + queues));
        command.addAll(List.of("--total-num-mbufs=" + 8192 * queues, "--mbcache=512"));
        return command;
    }
}

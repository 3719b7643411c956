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

/** dpdk-testpmd with two virtio-user ports, in its generating mode. */
final class Testpmd {
    static final int RING_SIZE = 1024;
    static final int FLOWS = 1024;

    /** Destinations are 10.253.0.0 and the 1,023 addresses behind it. */
    static final String FIRST_EIGHTH_OF_FLOWS = "10.253.0.0/25";

    private Testpmd() {}

    /** What the generator counted over both ports. */
    record Totals(long transmitted, long received) {}

    /** Why it cannot run here, or null. */
    static String missing() {
        if (!Programs.exists("dpdk-testpmd")) {
            return "dpdk-testpmd is not installed; qemu-scripts/install.sh --with-testpmd installs it";
        }
        return Runtime.getRuntime().availableProcessors() < 2
                ? "the generator and the back-end need a CPU each, this machine has one"
                : null;
    }

    /** How long to generate; {@code -Dtestpmd.seconds=60} for the long form. */
    static int seconds() {
        return Integer.getInteger("testpmd.seconds", 5);
    }

    /** The generator runs on CPU 0. */
    static String backendCpu() {
        return "1";
    }

    /** Runs it against two sockets that a back-end serves. */
    static Totals generate(final Path folder, final Path a, final Path b, final int seconds)
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
            say(commands, "start");
            Thread.sleep(seconds * 1000L);
            say(commands, "stop");
            // What it prints on stop may stay in its buffer until it ends.
            say(commands, "quit");
            if (!process.waitFor(30, TimeUnit.SECONDS)) {
                throw new AssertionError("testpmd does not end: " + Files.readString(log));
            }
            return totals(Files.readString(log));
        } finally {
            process.destroyForcibly();
        }
    }

    private static void say(final OutputStream commands, final String command) throws IOException {
        commands.write((command + "\n").getBytes(StandardCharsets.UTF_8));
        commands.flush();
    }

    private static List<String> command(final Path a, final Path b) {
        final List<String> command = new ArrayList<>(List.of("dpdk-testpmd", "--lcores", "0@0,1@0", "--no-pci"));
        // Without huge pages it is slower, and no less correct.
        command.addAll(List.of(
                "--no-huge",
                "-m",
                "256",
                "--no-telemetry",
                "--file-prefix",
                "it" + ProcessHandle.current().pid()));
        for (int i = 0; i < 2; i++) {
            command.add(
                    "--vdev=net_virtio_user%d,path=%s,queues=1,queue_size=%d".formatted(i, i == 0 ? a : b, RING_SIZE));
        }
        command.addAll(List.of(
                "--",
                "-i",
                "--nb-cores=1",
                "--forward-mode=flowgen",
                "--txd=" + RING_SIZE,
                "--rxd=" + RING_SIZE,
                "--total-num-mbufs=8192",
                "--mbcache=512"));
        return command;
    }

    private static Totals totals(final String log) {
        final Matcher matcher = Pattern.compile("Accumulated.*?RX-packets: (\\d+).*?TX-packets: (\\d+)", Pattern.DOTALL)
                .matcher(log);
        if (!matcher.find()) {
            throw new AssertionError("testpmd printed no totals: " + log);
        }
        return new Totals(Long.parseLong(matcher.group(2)), Long.parseLong(matcher.group(1)));
    }
}

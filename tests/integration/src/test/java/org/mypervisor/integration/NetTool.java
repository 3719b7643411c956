package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** {@code src/test/c/net.c}, which sends and receives in network namespaces and compares. */
final class NetTool {
    private static final Path SOURCE = Path.of("src/test/c/net.c");

    private final String program;

    /** @param folder where the program is put */
    NetTool(final Path folder) {
        final Path made = folder.resolve("net");
        if (Files.notExists(made)) {
            Shell.must(List.of("gcc", "-O2", "-Wall", "-Werror", "-o", made.toString(), SOURCE.toString()));
        }
        program = made.toString();
    }

    /** Why it cannot be made here, or null. */
    static String missing() {
        return Programs.exists("gcc") ? null : "gcc is not installed; qemu-scripts/install.sh installs it";
    }

    /** A mode that goes on until it is closed; wait for its first line where it has one. */
    Running start(final NetNamespace namespace, final String... arguments) throws IOException {
        return new Running(new ProcessBuilder(namespace.command(words(arguments)))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start());
    }

    String must(final NetNamespace namespace, final String... arguments) {
        return namespace.must(words(arguments));
    }

    private String[] words(final String... arguments) {
        return Stream.concat(Stream.of(program), Stream.of(arguments)).toArray(String[]::new);
    }

    /** Receives TCP on a port until closed. */
    Running tcpReceiver(final NetNamespace namespace, final int port) throws IOException, InterruptedException {
        final Running receiver = start(namespace, "tcp-recv", Integer.toString(port));
        Waiting.until("somebody listens on port " + port, java.time.Duration.ofSeconds(10), () -> namespace
                .must("ss", "-Hltn", "sport = :" + port)
                .contains(":" + port));
        return receiver;
    }

    /** Random bytes over TCP, of which those must arrive. */
    void sendTcp(final NetNamespace from, final String to, final int port, final long bytes) {
        final String said = must(from, "tcp-send", to, Integer.toString(port), Long.toString(bytes));
        assertEquals(Long.toString(bytes), said.split(" ")[0]);
    }

    /** What came of datagrams. */
    record Datagrams(long good, long bad, long misordered, long flows) {}

    /** Receives UDP until {@link #datagrams}. */
    Running udpReceiver(final NetNamespace namespace, final int port) throws IOException {
        return udpReceiver(namespace, port, 0);
    }

    /** Waits longer in the end while fewer than that have come: late is not lost. */
    Running udpReceiver(final NetNamespace namespace, final int port, final int wanted) throws IOException {
        final Running receiver = start(namespace, "udp-recv", Integer.toString(port), Integer.toString(wanted));
        assertEquals("ready", receiver.readLine());
        return receiver;
    }

    static Datagrams datagrams(final Running receiver) throws IOException {
        // Not Process.destroy, which closes its output.
        receiver.process.toHandle().destroy();
        final long[] counts = Arrays.stream(receiver.readLine().split(" "))
                .mapToLong(Long::parseLong)
                .toArray();
        return new Datagrams(counts[0], counts[1], counts[2], counts[3]);
    }

    void sendUdp(
            final NetNamespace from,
            final String to,
            final int port,
            final int flows,
            final int count,
            final int length,
            final int pauseMicros) {
        must(from, "udp-send", to, "" + port, "" + flows, "" + count, "" + length, "" + pauseMicros);
    }

    /** Sends frames as they are, one behind the other. */
    void sendFrames(final NetNamespace from, final String device, final List<WireFrame> frames)
            throws IOException, InterruptedException {
        try (Running sender = start(from, "frames-send", device)) {
            for (final WireFrame frame : frames) {
                sender.write(frame.toHex() + "\n");
            }
            sender.finish();
        }
    }

    /** Receives frames until {@link #frames}. */
    Running frameReceiver(final NetNamespace namespace, final String device, final int wanted) throws IOException {
        final Running receiver = start(namespace, "frames-recv", device, Integer.toString(wanted));
        assertEquals("ready", receiver.readLine());
        return receiver;
    }

    /** All that arrived. */
    static List<WireFrame> frames(final Running receiver) throws IOException {
        final List<WireFrame> arrived = new ArrayList<>();
        for (String line = receiver.readLine(); !line.equals("."); line = receiver.readLine()) {
            arrived.add(WireFrame.fromHex(line));
        }
        return arrived;
    }

    /** The program while it runs. */
    static final class Running implements AutoCloseable {
        private final Process process;
        private final BufferedReader output;

        private Running(final Process process) {
            this.process = process;
            this.output = process.inputReader(StandardCharsets.UTF_8);
        }

        String readLine() throws IOException {
            return output.readLine();
        }

        void write(final String line) throws IOException {
            process.getOutputStream().write(line.getBytes(StandardCharsets.US_ASCII));
            process.getOutputStream().flush();
        }

        /** There is nothing more for it to read; it must end, and well. */
        void finish() throws IOException, InterruptedException {
            process.getOutputStream().close();
            assertTrue(process.waitFor(10, TimeUnit.SECONDS), "it does not end");
            assertEquals(0, process.exitValue());
        }

        boolean isRunning() {
            return process.isAlive();
        }

        @Override
        public void close() {
            process.destroyForcibly();
            try {
                process.waitFor(5, TimeUnit.SECONDS);
            } catch (final InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}

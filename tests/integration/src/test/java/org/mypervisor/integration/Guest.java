package org.mypervisor.integration;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

/**
 * A QEMU guest started with {@code qemu-scripts/launch-guest.sh}; commands go over its serial console by the protocol
 * that {@code qemu-scripts/guest/init} describes.
 */
final class Guest implements AutoCloseable {
    private static final Path SCRIPTS = Path.of("../../qemu-scripts").toAbsolutePath();
    private static final Duration TO_BOOT = Duration.ofSeconds(120);

    private final String name;
    private final Process qemu;
    private final Path folder;
    private OutputStream in;
    private BufferedReader out;
    private int commands;
    private int boots;

    private Guest(final String name, final Process qemu, final Path folder) {
        this.name = name;
        this.qemu = qemu;
        this.folder = folder;
    }

    /** Why guests cannot run here, or null. */
    static String missing() {
        for (final String program : new String[] {"qemu-system-x86_64"}) {
            if (!Programs.exists(program)) {
                return program + " is not installed; qemu-scripts/install.sh installs it";
            }
        }
        return null;
    }

    /** Boots a guest with these NICs; it takes commands when {@link #awaitBoot} returns. */
    static Guest start(final Path folder, final String name, final String... nicSockets) throws IOException {
        return start(folder, name, "microvm", List.of(nicSockets), List.of());
    }

    /**
     * @param nics as for {@code launch-guest.sh --nic}
     * @param more arguments for QEMU
     */
    static Guest start(
            final Path folder,
            final String name,
            final String machine,
            final List<String> nics,
            final List<String> more)
            throws IOException {
        return start(List.of(), folder, name, machine, nics, more);
    }

    /** @param prefix a command that becomes the one behind it */
    static Guest start(
            final List<String> prefix,
            final Path folder,
            final String name,
            final String machine,
            final List<String> nics,
            final List<String> more)
            throws IOException {
        final Path own = Files.createDirectories(folder.resolve("guest-" + name));
        final List<String> command = new ArrayList<>(prefix);
        command.add(SCRIPTS.resolve("launch-guest.sh").toString());
        command.addAll(List.of("--name", name, "--machine", machine));
        command.addAll(List.of(
                "--console",
                "pipe:" + own.resolve("c"),
                "--qmp",
                own.resolve("qmp").toString()));
        for (final String nic : nics) {
            command.addAll(List.of("--nic", nic));
        }
        command.add("--");
        command.addAll(more);
        final Process qemu = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(own.resolve("qemu.log").toFile())
                .start();
        return new Guest(name, qemu, own);
    }

    Guest awaitBoot() throws IOException, InterruptedException {
        boots++;
        Waiting.until("guest " + name + " boots", TO_BOOT, () -> {
            if (!qemu.isAlive()) {
                throw new AssertionError("QEMU ended: " + qemuLog());
            }
            return bootsInLog() >= boots;
        });
        if (in == null) {
            in = Channels.newOutputStream(FileChannel.open(folder.resolve("c.in"), StandardOpenOption.WRITE));
            out = new BufferedReader(new InputStreamReader(
                    Channels.newInputStream(FileChannel.open(folder.resolve("c.out"), StandardOpenOption.READ)),
                    StandardCharsets.UTF_8));
        }
        return this;
    }

    private int bootsInLog() throws IOException {
        final Path log = folder.resolve("c.log");
        return Files.exists(log)
                ? Files.readString(log, StandardCharsets.ISO_8859_1).split(">boot 0", -1).length - 1
                : 0;
    }

    /** QEMU's monitor; a socket of its own, to be closed. */
    Qmp qmp() throws IOException {
        return Qmp.connect(folder.resolve("qmp"));
    }

    /** What QEMU and the guest's kernel said. */
    String qemuLog() throws IOException {
        final Path console = folder.resolve("c.log");
        return Files.readString(folder.resolve("qemu.log"))
                + (Files.exists(console) ? Files.readString(console, StandardCharsets.ISO_8859_1) : "");
    }

    long pid() {
        return qemu.pid();
    }

    /**
     * Pings that must all be answered. The kernel's count of answers decides: the socket of busybox's ping has room for
     * a few answers only and loses some on a busy machine.
     */
    void ping(final String address, final int count, final int size) throws IOException {
        final String answers =
                "awk '/^Icmp:/ { if (++n == 1) for (i = 1; i <= NF; i++) { if ($i == \"InEchoReps\") c = i }"
                        + " else print $c }' /proc/net/snmp";
        final long before = Long.parseLong(must(answers).trim());
        final String output = run("ping -q -c %d -i 0.01 -s %d %s".formatted(count, size, address))
                .output();
        final long answered = Long.parseLong(must(answers).trim()) - before;
        if (!output.contains(count + " packets transmitted") || answered < count) {
            throw new AssertionError("guest " + name + ": " + answered + " answers: " + output);
        }
    }

    /** What a command printed, and how it ended. */
    record Result(int status, String output) {}

    /** Runs a shell command in the guest and waits for its end. */
    Result run(final String command) throws IOException {
        final String id = "it" + commands++;
        final String text = "@" + id + "\n"
                + Base64.getMimeEncoder(76, new byte[] {'\n'})
                        .encodeToString((command + "\n").getBytes(StandardCharsets.UTF_8))
                + "\n.\n";
        in.write(text.getBytes(StandardCharsets.UTF_8));
        in.flush();
        final StringBuilder output = new StringBuilder();
        boolean answering = false;
        for (String line = out.readLine(); line != null; line = out.readLine()) {
            if (line.equals("<" + id)) {
                answering = true;
            } else if (answering && line.startsWith(">" + id + " ")) {
                return new Result(Integer.parseInt(line.substring(id.length() + 2)), output.toString());
            } else if (answering) {
                output.append(line).append('\n');
            }
        }
        throw new AssertionError("guest " + name + " ended during: " + command);
    }

    /** Runs a command that must succeed. */
    String must(final String command) throws IOException {
        final Result result = run(command);
        if (result.status() != 0) {
            throw new AssertionError(
                    "guest %s: %s: status %d: %s".formatted(name, command, result.status(), result.output()));
        }
        return result.output();
    }

    @Override
    public void close() throws IOException {
        qemu.destroyForcibly().onExit().join();
        if (in != null) {
            in.close();
            out.close();
        }
    }
}

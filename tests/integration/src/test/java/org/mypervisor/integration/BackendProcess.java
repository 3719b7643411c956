package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.mypervisor.offload.control.ControlClient;

/** The back-end as users run it: the launcher in a process of its own. */
final class BackendProcess implements AutoCloseable {
    private static final Duration TO_STOP = Duration.ofSeconds(10);

    private final Process process;
    private final Path control;
    private final Path log;

    private BackendProcess(final Process process, final Path control, final Path log) {
        this.process = process;
        this.control = control;
        this.log = log;
    }

    /** The launcher that the build made. */
    static Path launcher() {
        return Path.of("../../middlebox-offload/target/mypervisor/bin/mypervisor")
                .toAbsolutePath();
    }

    /** Starts {@code mypervisor run} with these options; its sockets and log are in the folder. */
    static BackendProcess start(final Path folder, final String... options) throws IOException {
        return start(List.of(), folder, options);
    }

    /** The same in a network namespace. */
    static BackendProcess start(final NetNamespace namespace, final Path folder, final String... options)
            throws IOException {
        return start(namespace.command(), folder, options);
    }

    private static BackendProcess start(final List<String> prefix, final Path folder, final String... options)
            throws IOException {
        final Path control = folder.resolve("control");
        final Path log = folder.resolve("backend.log");
        final List<String> command = new ArrayList<>(prefix);
        command.addAll(List.of(launcher().toString(), "run", "--control", control.toString()));
        command.addAll(List.of(options));
        final Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                .start();
        return new BackendProcess(process, control, log);
    }

    /** Ports on sockets in the folder, as options of {@code run}. */
    static String[] options(final Path folder, final List<String> ports, final String... others) {
        return Stream.concat(
                        ports.stream()
                                .flatMap(id -> Stream.of(
                                        "--port", "id=" + id + ",type=vhost-user,path=" + folder.resolve(id))),
                        Stream.of(others))
                .toArray(String[]::new);
    }

    void awaitControl() throws InterruptedException, IOException {
        Waiting.until("the back-end answers", Duration.ofSeconds(20), () -> {
            if (!process.isAlive()) {
                throw new AssertionError("the back-end ended: " + Files.readString(log));
            }
            return Files.exists(control) && answers();
        });
    }

    private boolean answers() {
        try {
            stats();
            return true;
        } catch (final IOException e) {
            return false;
        }
    }

    /** {@code GET /v1/stats}. */
    JsonNode stats() throws IOException {
        return new ObjectMapper().readTree(new ControlClient(control).get("/v1/stats"));
    }

    JsonNode port(final String id) throws IOException {
        for (final JsonNode port : stats().get("ports")) {
            if (port.get("id").asText().equals(id)) {
                return port;
            }
        }
        throw new AssertionError("no port " + id);
    }

    void awaitUp(final String... ports) throws InterruptedException, IOException {
        for (final String id : ports) {
            Waiting.until(id + " is up", Duration.ofSeconds(60), () -> port(id).get("state")
                    .asText()
                    .equals("up"));
        }
    }

    /** Since this process began: no driver has done anything wrong, and no ring is given up. */
    void checkNoFaults() throws IOException {
        for (final JsonNode port : stats().get("ports")) {
            long faults = 0;
            for (final JsonNode count : port.get("faults")) {
                faults += count.asLong();
            }
            assertTrue(faults == 0 && !port.get("state").asText().equals("broken"), port::toString);
        }
    }

    long pid() {
        return process.pid();
    }

    boolean alive() {
        return process.isAlive();
    }

    /** SIGKILL: no clean-up of any kind. */
    void killHard() {
        process.destroyForcibly().onExit().join();
    }

    /** SIGTERM; the back-end must end with 0 and take its sockets along. */
    void stop() throws InterruptedException {
        process.destroy();
        if (!process.waitFor(TO_STOP.toSeconds(), TimeUnit.SECONDS)) {
            throw new AssertionError("the back-end does not stop");
        }
        assertEquals(0, process.exitValue(), "exit code after SIGTERM");
    }

    String log() throws IOException {
        return Files.readString(log);
    }

    @Override
    public void close() {
        killHard();
    }
}

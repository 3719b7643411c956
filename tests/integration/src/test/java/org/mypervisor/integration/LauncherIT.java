package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import jnr.posix.POSIX;
import jnr.posix.POSIXFactory;
import jnr.posix.SpawnFileAction;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.Virtio;
import org.mypervisor.offload.control.ControlClient;

/** The launcher as management software, shells and administrators meet it. */
@Timeout(120)
final class LauncherIT {
    private static final int INHERITED = 7;
    private static final int SIGTERM = 15;
    private static final byte[] FRAME = new byte[60];

    @TempDir
    private Path folder;

    /** Runs a program to its end; it must end with 0. */
    private String output(final String... command) throws IOException, InterruptedException {
        final Process process = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectErrorStream(true)
                .start();
        process.getOutputStream().close();
        final String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), text);
        return text;
    }

    private String mypervisor(final String... args) throws IOException, InterruptedException {
        final List<String> command =
                new ArrayList<>(List.of(BackendProcess.launcher().toString()));
        command.addAll(List.of(args));
        return output(command.toArray(String[]::new));
    }

    /** vhost-user specification, "Back-end program conventions": whatever else is on the line. */
    @Test
    void shouldPrintItsCapabilities() throws IOException, InterruptedException {
        for (final String[] line :
                new String[][] {{"--print-capabilities"}, {"--print-capabilities", "--fd=3", "no", "--such=thing"}}) {
            final var capabilities = new ObjectMapper().readTree(mypervisor(line));
            assertEquals("net", capabilities.get("type").asText());
            assertTrue(capabilities.get("features").isArray());
        }
    }

    /** They are nice while it starts. */
    @Test
    void shouldCompileThePacketWayAtOrdinaryPriority() throws IOException, InterruptedException {
        try (BackendProcess backend =
                BackendProcess.start(folder, BackendProcess.options(folder, List.of("a", "b"), "--path", "a <-> b"))) {
            backend.awaitControl();
            Waiting.until("compilers are not nice", Duration.ofSeconds(5), () -> {
                final List<Integer> nices = niceOfCompilers(backend.pid());
                return nices.size() >= 2 && nices.stream().allMatch(nice -> nice == 0);
            });
        }
    }

    private static List<Integer> niceOfCompilers(final long pid) throws IOException {
        final List<Integer> nices = new ArrayList<>();
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc/" + pid + "/task"))) {
            for (final Path thread : threads) {
                final String stat = statOf(thread);
                if (stat.contains("CompilerThre")) {
                    nices.add(Integer.valueOf(
                            stat.substring(stat.lastIndexOf(')') + 2).split(" ")[16]));
                }
            }
        }
        return nices;
    }

    /** Empty when it has just ended. */
    private static String statOf(final Path thread) {
        try {
            return Files.readString(thread.resolve("stat"));
        } catch (final IOException e) {
            return "";
        }
    }

    @Test
    void shouldListenOnItsSocketPath() throws IOException, InterruptedException {
        final Path socket = folder.resolve("net.sock");
        try (BackendProcess backend = BackendProcess.start(folder, "--socket-path", socket.toString())) {
            backend.awaitControl();
            try (Frontend frontend = Frontend.client(socket)) {
                frontend.connectLikeQemu();
                assertNotEquals(0, frontend.offered());
                assertEquals("down", backend.port("net").get("state").asText());
            }
            backend.stop();
        }
        assertTrue(Files.notExists(socket));
    }

    /** As libvirt starts back-ends: the socket is there before us, and stays. */
    @Test
    void shouldServeTheDescriptorThatItInherits() throws IOException, InterruptedException {
        final POSIX posix = POSIXFactory.getNativePOSIX();
        final Path socket = folder.resolve("net.sock");
        final Path control = folder.resolve("control");
        final List<String> environment = new ArrayList<>();
        System.getenv().forEach((name, value) -> environment.add(name + "=" + value));
        try (UnixServerSocketChannel listening = UnixServerSocketChannel.open()) {
            listening.socket().bind(new UnixSocketAddress(socket.toString()));
            final String launcher = BackendProcess.launcher().toString();
            final int pid = (int) posix.posix_spawnp(
                    launcher,
                    List.of(SpawnFileAction.dup(listening.getFD(), INHERITED)),
                    List.of(launcher, "run", "--fd", Integer.toString(INHERITED), "--control", control.toString()),
                    environment);
            assertTrue(pid > 0, "posix_spawnp");
            try {
                Waiting.until("the back-end answers", Duration.ofSeconds(20), () -> Files.exists(control));
                for (int i = 0; i < 2; i++) {
                    try (NetDriver guest = NetDriver.launchLikeQemu(socket, Virtio.LIKE_QEMU, NetOptions.defaults())) {
                        guest.transmit(FRAME);
                        guest.awaitTransmitted();
                    }
                }
                final var ports = new ObjectMapper()
                        .readTree(new ControlClient(control).get("/v1/stats"))
                        .get("ports");
                assertEquals("net", ports.get(0).get("id").asText());
                assertEquals(2, ports.get(0).get("received").get("packets").asLong());
            } finally {
                posix.kill(pid, SIGTERM);
                final int[] status = new int[1];
                assertEquals(pid, posix.waitpid(pid, status, 0));
                assertEquals(0, status[0], "how it ended after SIGTERM");
            }
            assertTrue(Files.exists(socket), "the socket belongs to whoever made it");
        }
    }

    /** The signal itself, to the launcher's process: rules change for the next frame, hits begin anew. */
    @Test
    void shouldReadRulesAgainOnSighupAndShowTheirHits() throws IOException, InterruptedException {
        final Path rules = folder.resolve("acl.rules");
        Files.writeString(rules, "deny ether type 0x88b5\ndefault allow\n");
        final String[] options =
                BackendProcess.options(folder, List.of("a", "b"), "--path", "a -> filter(rules=" + rules + ") -> b");
        try (BackendProcess backend = BackendProcess.start(folder, options)) {
            backend.awaitControl();
            try (NetDriver a = NetDriver.launchLikeQemu(folder.resolve("a"), Virtio.LIKE_QEMU, NetOptions.defaults());
                    NetDriver b =
                            NetDriver.launchLikeQemu(folder.resolve("b"), Virtio.LIKE_QEMU, NetOptions.defaults())) {
                backend.awaitUp("a", "b");
                final byte[] frame = FRAME.clone();
                frame[12] = (byte) 0x88;
                frame[13] = (byte) 0xB5;
                for (int i = 0; i < 3; i++) {
                    a.transmit(frame);
                }
                a.awaitTransmitted();
                b.expectNoFrame(Duration.ofMillis(50));
                assertEquals(Map.of("deny ether type 0x88b5", 3L, "default allow", 0L), hits());

                Files.writeString(rules, "deny ether type 0x88b6\ndefault allow\n");
                hangUp(backend, "rule files read again");
                a.transmit(frame);
                assertEquals(FRAME.length, b.receive().length);
                assertEquals(Map.of("deny ether type 0x88b6", 0L, "default allow", 1L), hits());

                Files.writeString(rules, "deny everything at once\n");
                hangUp(backend, "the old rules stay in force: " + rules + ":1:");
                a.transmit(frame);
                assertEquals(FRAME.length, b.receive().length);
                assertEquals(Map.of("deny ether type 0x88b6", 0L, "default allow", 2L), hits());
            }
            backend.stop();
        }
    }

    private static void hangUp(final BackendProcess backend, final String answer)
            throws IOException, InterruptedException {
        new ProcessBuilder("kill", "-HUP", Long.toString(backend.pid())).start().waitFor();
        Waiting.until(answer, Duration.ofSeconds(5), () -> backend.log().contains(answer));
    }

    /** {@code mypervisor stats --rules}, as table and as JSON, which must agree. */
    private Map<String, Long> hits() throws IOException, InterruptedException {
        final String control = folder.resolve("control").toString();
        final String table = mypervisor("stats", "--control", control, "--rules");
        final Map<String, Long> hits = new java.util.HashMap<>();
        final var filters = new ObjectMapper()
                .readTree(mypervisor("stats", "--control", control, "--rules", "--json"))
                .get("filters");
        for (final var rule : filters.get(0).get("rules")) {
            final String text = rule.get("rule").asText();
            hits.put(text, rule.get("hits").asLong());
            assertTrue(
                    table.lines()
                            .anyMatch(line -> line.contains(text)
                                    && List.of(line.trim().split("\\s+"))
                                            .contains(rule.get("hits").asText())),
                    table);
        }
        return hits;
    }

    @Test
    void shouldGenerateACompletionThatBashAccepts() throws IOException, InterruptedException {
        final Path script = Files.writeString(folder.resolve("completion"), mypervisor("generate-completion"));
        output("bash", "-n", script.toString());
        final String offered = output(
                "bash",
                "-c",
                "source completion; COMP_WORDS=(mypervisor st); COMP_CWORD=1; COMP_LINE='mypervisor st'; COMP_POINT=13;"
                        + " _complete_mypervisor; echo \"${COMPREPLY[@]}\"");
        assertEquals("stats", offered.strip());
    }
}

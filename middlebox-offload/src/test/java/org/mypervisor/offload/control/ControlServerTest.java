package org.mypervisor.offload.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The control socket as any HTTP client sees it. */
@SuppressWarnings("try") // The server works by being there.
final class ControlServerTest {
    private static final StatsReport REPORT = new StatsReport(
            1.5,
            List.of(new StatsReport.PortStats(
                    "fw-in",
                    "vhost-user",
                    "up",
                    "0x150008000",
                    1,
                    new StatsReport.Traffic(3, 180),
                    new StatsReport.Traffic(2, 120),
                    Map.of("no_buffer", 1L),
                    7,
                    5,
                    Map.of(),
                    0,
                    "")),
            List.of(new StatsReport.PathStats("a -> b", 3, 180, Map.of("denied", 1L), List.of())),
            List.of(new StatsReport.WorkerStats(1, 3, 2, 100, 200)));

    private static final RulesReport RULES = new RulesReport(List.of(new RulesReport.FilterStats(
            "a -> filter(rules=x) -> b", List.of(new RulesReport.RuleStats("deny arp", 4)))));

    @TempDir
    private Path folder;

    private String talk(final Path socket, final String request) throws IOException {
        try (UnixSocketChannel channel = UnixSocketChannel.open(new UnixSocketAddress(socket.toString()))) {
            channel.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
            final ByteBuffer answer = ByteBuffer.allocate(16_384);
            while (channel.read(answer) > 0) {
                // "Connection: close" ends the answer.
            }
            return new String(answer.array(), 0, answer.position(), StandardCharsets.UTF_8);
        }
    }

    private static String get(final String path) {
        return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    }

    @Test
    void shouldAnswerWithTheNamesOfTheContract() throws IOException {
        final Path socket = folder.resolve("c");
        try (ControlServer server = new ControlServer(socket, () -> REPORT, () -> RULES)) {
            final String answer = talk(socket, get("/v1/stats"));
            assertTrue(answer.startsWith("HTTP/1.1 200 "), answer);
            for (final String field : new String[] {
                "\"uptime_s\":1.5",
                "\"received\":{\"packets\":3,\"bytes\":180}",
                "\"drops\":{\"no_buffer\":1}",
                "\"kicks\":7,\"calls\":5,\"faults\":{}",
                "\"path\":\"a -> b\"",
                "\"busy_ns\":100,\"idle_ns\":200"
            }) {
                assertTrue(answer.contains(field), field + " in " + answer);
            }
            assertEquals(REPORT, new ControlClient(socket).stats());
            assertEquals(RULES, new ControlClient(socket).rules());
        }
        assertTrue(Files.notExists(socket));
    }

    @Test
    void shouldRefuseOtherResourcesAndMethodsAndGoOn() throws IOException {
        final Path socket = folder.resolve("c");
        try (ControlServer server = new ControlServer(socket, () -> REPORT, () -> RULES)) {
            assertTrue(talk(socket, get("/")).startsWith("HTTP/1.1 404 "));
            assertTrue(talk(socket, get("/v1/stats").replace("GET", "DELETE")).startsWith("HTTP/1.1 405 "));
            assertTrue(talk(socket, "no HTTP at all\r\n\r\n").startsWith("HTTP/1.1 400 "));
            assertTrue(talk(socket, get("/v1/stats")).startsWith("HTTP/1.1 200 "));
        }
    }

    @Test
    void shouldEndWhileAClientSaysNothing() throws IOException {
        final Path socket = folder.resolve("c");
        final ControlServer server = new ControlServer(socket, () -> REPORT, () -> RULES);
        try (UnixSocketChannel silent = UnixSocketChannel.open(new UnixSocketAddress(socket.toString()))) {
            assertTrue(silent.isConnected());
            server.close();
        }
        final IOException gone = assertThrows(IOException.class, () -> new ControlClient(socket).stats());
        assertTrue(gone.getMessage().contains("was it started with --control"), gone.getMessage());
    }
}

package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Two network namespaces and a filter between them, through every pair of port types. A frame that is passed on without
 * its checksum is not verified by the receiving kernel; so there is a form in which all sums and segments are made before.
 */
final class PairingCells implements AutoCloseable {
    private static final String LEFT = "10.88.0.1";
    private static final String RIGHT = "10.88.0.2";

    private static final String RULES = """
            deny udp from any to any port 5353
            deny tcp from any to any port 8081
            deny icmp from any to 10.88.0.77
            default allow
            """;

    private static final int TCP_PORT = 7000;
    private static final int ALLOWED_PORT = 5354;
    private static final int DENIED_PORT = 5353;

    private static final int DATAGRAMS = 200;
    private static final int DATAGRAM_LENGTH = 1401;
    private static final int PAUSE_MICROS = 500;

    private static final Duration LIMIT = Duration.ofSeconds(Matrix.full() ? 480 : 120);

    private static final int PINGS = Matrix.full() ? 10_000 : 400;
    private static final int CONNECTIONS = Matrix.full() ? 32 : 8;
    private static final int SECONDS = Matrix.full() ? 10 : 1;

    /** One way. A guest is emulated perhaps. */
    private static final long BYTES = Matrix.full() ? 1_000_000_000 : 100_000_000;

    private static final long BYTES_OF_A_GUEST = Matrix.full() ? 200_000_000 : 12_000_001;

    /** Of the two ports. */
    private enum Offloads {
        ON(true, true),
        OFF(false, false),
        /** One way all is cut and summed by us, under real connections. */
        MIXED(true, false);

        private final boolean left;
        private final boolean right;

        Offloads(final boolean left, final boolean right) {
            this.left = left;
            this.right = right;
        }

        /** An XDP socket has none. */
        private boolean isPossible(final End.Kind leftKind, final End.Kind rightKind) {
            return (!left || leftKind != End.Kind.AF_XDP) && (!right || rightKind != End.Kind.AF_XDP);
        }
    }

    private final Path folder;
    private final NetTool tool;
    private final NetNamespace hub = new NetNamespace();
    /** Guests take their time to boot: they serve all cells with the same offloads. */
    private final Map<String, End> guests = new HashMap<>();

    private final List<BackendProcess> backends = new ArrayList<>();
    private int runs;

    PairingCells(final Path folder) {
        this.folder = folder;
        this.tool = new NetTool(folder);
    }

    List<Cell> cells() {
        final List<Cell> cells = new ArrayList<>();
        for (final Offloads offloads : Offloads.values()) {
            for (final End.Kind left : End.Kind.values()) {
                for (final End.Kind right : End.Kind.values()) {
                    if (left.ordinal() <= right.ordinal() && offloads.isPossible(left, right)) {
                        final String name = "interfaces/%s-%s/offloads-%s"
                                .formatted(left.word(), right.word(), offloads)
                                .toLowerCase(java.util.Locale.ROOT);
                        final Cell cell =
                                Cell.of(name, () -> pair(left, right, offloads)).within(LIMIT);
                        cells.add(isBrief(left, right, offloads) ? cell.inShortForm() : cell);
                    }
                }
            }
        }
        return cells;
    }

    private static boolean isBrief(final End.Kind left, final End.Kind right, final Offloads offloads) {
        return right == End.Kind.AF_XDP
                ? offloads == Offloads.MIXED || left == End.Kind.AF_XDP
                : offloads != Offloads.MIXED || left != End.Kind.VHOST_USER;
    }

    private End end(final End.Kind kind, final String side, final boolean offloads) throws IOException {
        final String id = side + (offloads ? "-on" : "-off");
        if (kind != End.Kind.VHOST_USER) {
            return new End(kind, id, offloads, hub, folder);
        }
        if (!guests.containsKey(id)) {
            guests.put(id, new End(kind, id, offloads, hub, folder));
        }
        return guests.get(id);
    }

    private void release(final End end) throws IOException {
        end.detach();
        if (end.kind() != End.Kind.VHOST_USER) {
            end.close();
        }
    }

    private void pair(final End.Kind leftKind, final End.Kind rightKind, final Offloads offloads)
            throws IOException, InterruptedException {
        final Path own = Files.createDirectory(folder.resolve("pairing" + runs++));
        final Path rules = Files.writeString(own.resolve("rules"), RULES);
        final End left = end(leftKind, "l", offloads.left);
        final End right = end(rightKind, "r", offloads.right);
        try (BackendProcess backend = BackendProcess.start(
                hub,
                own,
                "--port",
                left.port(),
                "--port",
                right.port(),
                "--path",
                left.portId() + " <-> filter(rules=" + rules + ") <-> " + right.portId())) {
            backends.add(backend);
            backend.awaitControl();
            left.attach(LEFT);
            right.attach(RIGHT);
            backend.awaitUp(left.portId(), right.portId());
            new Traffic(backend, left, right, own).run();
            backend.stop();
            backends.remove(backend);
        } finally {
            release(left);
            release(right);
        }
    }

    /** What goes between the two, and what must have become of it. */
    private final class Traffic {
        private final BackendProcess backend;
        private final NetNamespace left;
        private final NetNamespace right;
        private final Path own;
        private final long bytes;

        Traffic(final BackendProcess backend, final End left, final End right, final Path own) {
            this.backend = backend;
            this.left = left.namespace();
            this.right = right.namespace();
            this.own = own;
            this.bytes = left.kind() == End.Kind.VHOST_USER ? BYTES_OF_A_GUEST : BYTES;
        }

        void run() throws IOException, InterruptedException {
            final String[] reach = {
                "sh", "-c", "for i in $(seq 50); do ping -q -c 1 -W 0.3 " + RIGHT + " > /dev/null && exit; done; exit 1"
            };
            left.must(reach);
            final long errors = errors();
            final Losses before = losses();
            ping();
            tcp();
            udp(before);
            web();
            denyOther(before);
            assertEquals(errors, errors(), "frames whose checksum or length was wrong");
            final Losses after = losses();
            assertEquals(before.drops, after.drops, () -> "frames dropped by ports: " + stats());
            assertEquals(before.unparsable, after.unparsable, "unparsable frames");
            backend.checkNoFaults();
        }

        private void ping() throws InterruptedException {
            left.flood(RIGHT, PINGS, 1001);
            right.flood(LEFT, PINGS, 56);
        }

        private void tcp() throws IOException, InterruptedException {
            try (NetTool.Running toRight = tool.tcpReceiver(right, TCP_PORT);
                    NetTool.Running toLeft = tool.tcpReceiver(left, TCP_PORT)) {
                tool.sendTcp(left, RIGHT, TCP_PORT, bytes);
                tool.sendTcp(right, LEFT, TCP_PORT, bytes);
                assertTrue(toRight.isRunning() && toLeft.isRunning());
            }
        }

        /** Of the datagrams all arrive that may, and all others are counted as denied. */
        private void udp(final Losses before) throws IOException {
            final long denied = losses().denied - before.denied;
            assertEquals(0, denied, "denied without reason");
            udp(left, right, RIGHT, ALLOWED_PORT, DATAGRAMS);
            udp(right, left, LEFT, ALLOWED_PORT, DATAGRAMS);
            assertEquals(0, losses().denied - before.denied, "denied without reason");
            udp(left, right, RIGHT, DENIED_PORT, 0);
            assertEquals(DATAGRAMS, losses().denied - before.denied, "denied");
            udp(right, left, LEFT, DENIED_PORT, 0);
            assertEquals(2 * DATAGRAMS, losses().denied - before.denied, "denied");
        }

        private void udp(
                final NetNamespace from,
                final NetNamespace to,
                final String address,
                final int port,
                final int expected)
                throws IOException {
            try (NetTool.Running receiver = tool.udpReceiver(to, port, expected)) {
                final int flows = 4;
                tool.sendUdp(from, address, port, flows, DATAGRAMS / flows, DATAGRAM_LENGTH, flows * PAUSE_MICROS);
                final NetTool.Datagrams got = NetTool.datagrams(receiver);
                assertEquals(new NetTool.Datagrams(expected, 0, 0, expected == 0 ? 0 : flows), got, this::stats);
            }
        }

        private void web() throws IOException, InterruptedException {
            try (WebServer server = new WebServer(right, Files.createDirectory(own.resolve("nginx")))) {
                server.checkFetchedFrom(left, RIGHT);
                final String output = WebServer.wrk(left, RIGHT, CONNECTIONS, SECONDS);
                System.out.println(output.lines()
                        .filter(line -> line.contains("/sec"))
                        .map(String::trim)
                        .toList());
                assertTrue(WebServer.canConnect(left, RIGHT, WebServer.PORT));
                assertFalse(WebServer.canConnect(left, RIGHT, WebServer.DENIED_PORT), "a denied port answers");
                assertTrue(WebServer.canConnect(right, RIGHT, WebServer.DENIED_PORT), "the port is open within");
            }
        }

        private void denyOther(final Losses before) throws IOException {
            assertTrue(losses().denied > before.denied + 2 * DATAGRAMS, "the denied connection was counted");
        }

        private String stats() {
            try {
                return backend.stats().toPrettyString();
            } catch (final IOException e) {
                return e.toString();
            }
        }

        private long errors() {
            long errors = 0;
            for (final NetNamespace namespace : List.of(left, right)) {
                errors += namespace.counter("Tcp", "InErrs")
                        + namespace.counter("Tcp", "InCsumErrors")
                        + namespace.counter("Udp", "InErrors")
                        + namespace.counter("Udp", "InCsumErrors")
                        + namespace.counter("Icmp", "InCsumErrors")
                        + namespace.counter("Ip", "InHdrErrors");
            }
            return errors;
        }

        private Losses losses() throws IOException {
            final JsonNode stats = backend.stats();
            return new Losses(
                    sum(stats.get("paths"), "denied"),
                    sum(stats.get("paths"), "unparsable"),
                    stats.get("ports").findValues("drops").toString());
        }

        private long sum(final JsonNode rows, final String reason) {
            long sum = 0;
            for (final JsonNode row : rows) {
                sum += row.get("drops").get(reason).asLong();
            }
            return sum;
        }
    }

    /** Counters of the back-end. */
    private record Losses(long denied, long unparsable, String drops) {}

    /** What may explain a failure goes to standard output; the next cell begins anew. */
    void discard() {
        try {
            for (final BackendProcess backend : backends) {
                System.out.println(backend.log());
            }
            for (final End guest : guests.values()) {
                System.out.println(guest.log());
            }
            closeAll();
        } catch (final IOException e) {
            System.out.println(e);
        }
    }

    private void closeAll() throws IOException {
        backends.forEach(BackendProcess::close);
        backends.clear();
        for (final End guest : guests.values()) {
            guest.close();
        }
        guests.clear();
    }

    @Override
    public void close() throws IOException {
        closeAll();
        hub.close();
    }
}

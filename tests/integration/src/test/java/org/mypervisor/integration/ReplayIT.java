package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** From a capture through a filter to an interface and back: the other end of a veth sees, and sends, byte for byte the same. */
@Timeout(120)
final class ReplayIT {
    private static final int SEED = 20261127;
    private static final int FRAMES = 1000;
    private static final int DENIED_PORT = 53;
    private static final int FILE_HEADER = 24;
    private static final int RECORD_HEADER = 16;
    private static final double NANOS_PER_SECOND = 1e9;

    private static final List<List<Integer>> TAGS =
            List.of(List.of(), List.of(), List.of(0x8100_0005), List.of(0x88A8_0007, 0x8100_0005));

    private final Random random = new Random(SEED);
    private final List<WireFrame> frames = new ArrayList<>();
    private final List<byte[]> expected = new ArrayList<>();

    @TempDir
    private Path folder;

    private NetNamespace hub;
    private NetNamespace near;
    private NetTool tool;

    @BeforeEach
    void makeNamespaces() {
        final String missing = Stream.of(NetNamespace.missing(), NetTool.missing())
                .filter(java.util.Objects::nonNull)
                .findFirst()
                .orElse(null);
        assumeTrue(missing == null, missing);
        hub = new NetNamespace();
        near = new NetNamespace();
        tool = new NetTool(folder);
        hub.addVeth("tee", "eth0", near);
        near.sendCompleteFrames("eth0");
        near.ip("link set eth0 up");
        makeFrames();
    }

    @AfterEach
    void end() {
        if (hub != null) {
            hub.close();
            near.close();
        }
    }

    /** Datagrams of all lengths, one in three to the port that is denied. */
    private void makeFrames() {
        for (int i = 0; i < FRAMES; i++) {
            final List<Integer> tags = TAGS.get(random.nextInt(TAGS.size()));
            final WireFrame frame = WireFrame.udp(random, tags, 60 + random.nextInt(1455), false);
            frames.add(frame);
            if (i % 3 == 0) {
                final int destinationPort = WireFrame.ethernetLength(tags) + 22;
                ByteBuffer.wrap(frame.bytes()).putShort(destinationPort, (short) DENIED_PORT);
            } else {
                expected.add(frame.bytes());
            }
        }
    }

    private Path writeCapture() throws IOException {
        final ByteBuffer to = ByteBuffer.allocate(FRAMES * 1600).order(ByteOrder.LITTLE_ENDIAN);
        to.putInt(0xa1b2c3d4).putShort((short) 2).putShort((short) 4).putLong(0);
        to.putInt(65_535).putInt(1);
        for (int i = 0; i < FRAMES; i++) {
            final byte[] bytes = frames.get(i).bytes();
            to.putInt(1_600_000_000 + i).putInt(i).putInt(bytes.length).putInt(bytes.length);
            to.put(bytes);
        }
        return Files.write(folder.resolve("in.pcap"), Arrays.copyOf(to.array(), to.position()));
    }

    private BackendProcess start(final String from, final String to) throws IOException, InterruptedException {
        final Path rules = folder.resolve("rules");
        Files.writeString(rules, "deny udp from any to any port " + DENIED_PORT + "\n");
        final BackendProcess backend = BackendProcess.start(
                hub, folder, "--port", from, "--port", to, "--path", "from -> filter(rules=" + rules + ") -> to");
        backend.awaitControl();
        return backend;
    }

    private static void expectNoDrops(final JsonNode port) {
        for (final String reason : List.of("no_buffer", "too_big", "down")) {
            assertEquals(0, port.get("drops").get(reason).asLong(), port::toString);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"af_packet", "af_xdp"})
    void shouldSendExactlyWhatTheRulesLeaveOfACapture(final String type) throws IOException, InterruptedException {
        final String from = "id=from,type=pcap,read=" + writeCapture() + ",speed=max";
        try (NetTool.Running receiver = tool.frameReceiver(near, "eth0", expected.size());
                BackendProcess backend = start(from, "id=to,ifname=tee,type=" + type)) {
            Waiting.until(
                    "all is replayed",
                    Duration.ofSeconds(20),
                    () -> backend.port("from").get("state").asText().equals("done"));
            final List<WireFrame> arrived = NetTool.frames(receiver);
            assertEquals(expected.size(), arrived.size());
            for (int i = 0; i < expected.size(); i++) {
                assertArrayEquals(expected.get(i), arrived.get(i).bytes(), "frame " + i);
            }
            expectNoDrops(backend.port("to"));
            backend.checkNoFaults();
            backend.stop();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"af_packet", "af_xdp"})
    void shouldCaptureExactlyWhatTheRulesLeave(final String type) throws IOException, InterruptedException {
        final Path out = folder.resolve("out.pcap");
        final Instant before = Instant.now();
        try (BackendProcess backend = start("id=from,ifname=tee,type=" + type, "id=to,type=pcap,write=" + out)) {
            backend.awaitUp("from", "to");
            tool.sendFrames(near, "eth0", frames);
            Waiting.until(
                    "all arrive",
                    Duration.ofSeconds(10),
                    () -> backend.port("from").get("received").get("packets").asLong() >= FRAMES);
            expectNoDrops(backend.port("to"));
            assertEquals(0, backend.port("from").get("missed").asLong());
            backend.checkNoFaults();
            backend.stop();
        }
        checkCapture(ByteBuffer.wrap(Files.readAllBytes(out)).order(ByteOrder.LITTLE_ENDIAN), before, Instant.now());
    }

    private void checkCapture(final ByteBuffer file, final Instant from, final Instant to) {
        assertEquals(0xa1b23c4d, file.getInt(0));
        double last = seconds(from);
        int at = FILE_HEADER;
        for (int i = 0; i < expected.size(); i++) {
            final double time = file.getInt(at) + file.getInt(at + 4) / NANOS_PER_SECOND;
            assertTrue(last <= time && time <= seconds(to), time + " behind " + last);
            final byte[] bytes = new byte[file.getInt(at + 8)];
            file.get(at + RECORD_HEADER, bytes);
            assertArrayEquals(expected.get(i), bytes, "frame " + i);
            assertEquals(bytes.length, file.getInt(at + 12), "bytes on the wire");
            at += RECORD_HEADER + bytes.length;
            last = time;
        }
        assertEquals(file.limit(), at, "nothing else");
    }

    private static double seconds(final Instant time) {
        return time.getEpochSecond() + time.getNano() / NANOS_PER_SECOND;
    }
}

package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
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
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Frames of all lengths with no, one and two VLAN tags arrive byte by byte as they were sent. The kernel takes the outer tag
 * out of a frame before a packet socket sees it; it has to be back in its place, and checksum and segments with it.
 */
@Timeout(120)
final class TaggedFramesIT {
    private static final int SEED = 20261121;

    /** TPID and TCI. The last ones: a priority without a VLAN, and VLAN 0 with priority 0, which is a tag all the same. */
    private static final List<List<Integer>> TAGS = List.of(
            List.of(),
            List.of(0x8100_0005),
            List.of(0x8100_FFFE),
            List.of(0x88A8_0007, 0x8100_0005),
            List.of(0x8100_0003, 0x8100_0004),
            List.of(0x88A8_2001),
            List.of(0x8100_E000),
            List.of(0x8100_0000));

    private static final int[] LENGTHS = {60, 61, 64, 65, 127, 128, 129, 600, 601, 1513, 1514};

    /** With a tag a frame may be longer by that. */
    private static final int LONGEST_TAGGED = 1518;

    /** The longest that IPv4 has, one that is just not too long for a GSO frame, odd ones, and one byte over a segment. */
    private static final int[] LONG_PAYLOADS = {65_495, 65_477, 64_001, 9_999, 1_449};

    /** The kernel that sends cuts longer ones by itself. */
    private static final int LONGEST_WHOLE = 65_535;

    private static final int[] SEGMENT_SIZES = {1_448, 1_201};

    @TempDir
    private Path folder;

    private NetNamespace hub;
    private NetNamespace outside;
    private final Random random = new Random(SEED);

    @BeforeEach
    void makeNamespaces() {
        final String missing = Stream.of(NetNamespace.missing(), NetTool.missing())
                .filter(java.util.Objects::nonNull)
                .findFirst()
                .orElse(null);
        assumeTrue(missing == null, missing);
        hub = new NetNamespace();
        outside = new NetNamespace();
    }

    @AfterEach
    void end() {
        if (hub != null) {
            hub.close();
            outside.close();
        }
    }

    static Stream<Arguments> ports() {
        return Stream.of("af_packet", "tap").flatMap(from -> Stream.of("af_packet", "tap")
                .flatMap(to -> Stream.of("on", "off").map(offloads -> Arguments.of(from, to, offloads))));
    }

    /** The port's option; its interface that can be sent on, or where frames arrive, is called "out-" and its id. */
    private String port(final String id, final String type, final String offloads) {
        if (type.equals("tap")) {
            return "id=" + id + ",type=tap,ifname=out-" + id + ",offloads=" + offloads;
        }
        hub.addVeth("in-" + id, "out-" + id, outside);
        return "id=" + id + ",type=af_packet,ifname=in-" + id + ",offloads=" + offloads;
    }

    @ParameterizedTest(name = "{0} to {1}, offloads {2}")
    @MethodSource("ports")
    void shouldArriveAsTheyWereSent(final String from, final String to, final String offloads)
            throws IOException, InterruptedException {
        try (BackendProcess backend = BackendProcess.start(
                hub,
                folder,
                "--port",
                port("a", from, offloads),
                "--port",
                port("b", to, offloads),
                "--path",
                "a -> b")) {
            backend.awaitControl();
            for (final String id : List.of("a", "b")) {
                if ((id.equals("a") ? from : to).equals("tap")) {
                    hub.ip("link set out-" + id + " netns " + outside.name());
                }
                outside.ip("link set out-" + id + " up");
            }
            backend.awaitUp("a", "b");
            try (NetTool.Running frames = new NetTool(folder).start(outside, "frames", "out-a", "out-b")) {
                for (final List<Integer> tags : TAGS) {
                    checkWhole(frames, tags);
                    checkCut(frames, tags, offloads.equals("on") && tags.size() < 2);
                }
            }
            for (final String drops : List.of("no_buffer", "too_big", "down")) {
                assertEquals(0, backend.port("b").get("drops").get(drops).asLong(), drops);
            }
            backend.checkNoFaults();
        }
    }

    private void checkWhole(final NetTool.Running frames, final List<Integer> tags) throws IOException {
        final boolean oneCustomerTag = tags.size() == 1 && tags.get(0) >>> 16 == 0x8100;
        final int[] lengths = Arrays.copyOf(LENGTHS, LENGTHS.length + 1);
        lengths[LENGTHS.length] = oneCustomerTag ? LONGEST_TAGGED : LENGTHS[0];
        for (final int length : lengths) {
            for (final boolean needsCsum : new boolean[] {false, true}) {
                final WireFrame sent = WireFrame.udp(random, tags, length, needsCsum);
                final List<WireFrame> arrived = exchange(frames, "1", sent);
                final String what = tags + ", " + length + " bytes, NEEDS_CSUM " + needsCsum;
                assertEquals(1, arrived.size(), what);
                assertArrayEquals(sent.finished(), arrived.get(0).finished(), what);
            }
        }
    }

    /** @param whole whether it must arrive in one piece */
    private void checkCut(final NetTool.Running frames, final List<Integer> tags, final boolean whole)
            throws IOException {
        final int ethernet = WireFrame.ethernetLength(tags);
        final int headers = ethernet + 40;
        for (int i = 0; i < LONG_PAYLOADS.length; i++) {
            final int payload = LONG_PAYLOADS[i];
            final int size = SEGMENT_SIZES[i % 2];
            final WireFrame sent = WireFrame.tcp(random, tags, payload, size);
            final String what = tags + ", " + payload + " bytes in segments of " + size;
            final List<WireFrame> arrived = exchange(frames, "*", sent);
            final ByteArrayOutputStream joined = new ByteArrayOutputStream();
            for (final WireFrame frame : arrived) {
                assertArrayEquals(Arrays.copyOf(sent.bytes(), ethernet), Arrays.copyOf(frame.bytes(), ethernet), what);
                assertTrue(frame.isGso() || frame.bytes().length <= headers + size, what);
                assertTrue(frame.isGso() || frame.hasGoodSums(ethernet), what);
                joined.write(frame.payload(headers));
            }
            assertArrayEquals(sent.payload(headers), joined.toByteArray(), what);
            if (whole && sent.bytes().length <= LONGEST_WHOLE) {
                assertEquals(1, arrived.size(), what);
                assertArrayEquals(sent.finished(), arrived.get(0).finished(), what);
            }
        }
    }

    /**
     * @param count "1" when one must arrive: another one would be taken for what comes of the next frame. "*" for any number
     */
    private static List<WireFrame> exchange(final NetTool.Running frames, final String count, final WireFrame sent)
            throws IOException {
        frames.write(count + " " + sent.toHex() + "\n");
        final List<WireFrame> arrived = new ArrayList<>();
        for (String line = frames.readLine(); !line.equals("."); line = frames.readLine()) {
            assertTrue(!line.startsWith("error"), line);
            arrived.add(WireFrame.fromHex(line));
        }
        return arrived;
    }
}

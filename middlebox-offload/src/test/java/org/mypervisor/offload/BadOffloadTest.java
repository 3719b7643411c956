package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.GUEST_OFFLOADS;
import static org.mypervisor.driversim.Virtio.HOST_OFFLOADS;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_ECN;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_TCPV4;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_TCPV6;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_UDP_L4;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.Framing;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.offload.gso.Flow;

/** Requests that make no sense cost their chain and are counted at their sender; nobody else notices. */
final class BadOffloadTest {
    private static final int UDP_GSO = 3;
    private static final NetOptions LONG_FRAMES = NetOptions.defaults().withTransmitBufferSize(70_000);

    @TempDir
    private Path folder;

    /** A header and the frame behind it. */
    private record Bad(String name, byte[] header, byte[] frame) {}

    private static Bad gso(final String name, final Flow flow, final int gsoType, final int gsoSize) {
        return new Bad(name, NetHdr.gso(flow, gsoType, gsoSize), flow.forDevice(new byte[3000]));
    }

    /** No receiver gets these. */
    private static List<Bad> nonsense(final Random random) {
        final Flow tcp = new Flow(random, false, true, 0, 0);
        final byte[] frame = tcp.forDevice(new byte[3000]);
        final int end = frame.length;
        return List.of(
                new Bad("csum_start behind the end", NetHdr.of(1, 0, 0, end, 0), frame),
                new Bad("csum_start far behind the end", NetHdr.of(1, 0, 0, 0xFFFF, 16), frame),
                new Bad("checksum half behind the end", NetHdr.of(1, 0, 0, end - 17, 16), frame),
                new Bad("csum_offset far behind the end", NetHdr.of(1, 0, 0, tcp.l4(), 0xFFFF), frame),
                new Bad("both highest", NetHdr.of(1, 0, 0, 0xFFFF, 0xFFFF), frame),
                new Bad("GSO with its checksum behind the end", NetHdr.of(1, 1, 1000, end, 16), frame),
                gso("gso_size 0", tcp, VIRTIO_NET_HDR_GSO_TCPV4, 0),
                gso("gso_type UDP", tcp, UDP_GSO, 1000),
                gso("gso_type 2", tcp, 2, 1000),
                gso("gso_type 6", tcp, 6, 1000),
                gso("gso_type 0x7f", tcp, 0x7F, 1000),
                gso("a tunnel", tcp, VIRTIO_NET_HDR_GSO_TCPV4 | 0x20, 1000),
                gso("ECN alone", tcp, VIRTIO_NET_HDR_GSO_ECN, 1000),
                gso("ECN with UDP", tcp, VIRTIO_NET_HDR_GSO_UDP_L4 | VIRTIO_NET_HDR_GSO_ECN, 1000),
                new Bad("GSO without NEEDS_CSUM", NetHdr.of(0, 1, 1000, tcp.l4(), 16), frame),
                new Bad("GSO of an unknown type without NEEDS_CSUM", NetHdr.of(0, 0x60, 0, 0, 0), frame));
    }

    /** What only segmentation can see: a receiver that takes such frames gets these. */
    private static List<Bad> contradictions(final Random random) {
        final Flow tcp4 = new Flow(random, false, true, 1, 0);
        final Flow tcp6 = new Flow(random, true, true, 0, 1);
        final Flow udp4 = new Flow(random, false, false, 0, 0);
        final Flow udp6 = new Flow(random, true, false, 0, 0);
        final byte[] fragment = tcp4.forDevice(new byte[3000]);
        fragment[18 + 6] |= 0x20;
        final byte[] cut = Arrays.copyOf(tcp6.forDevice(new byte[3000]), 2000);
        return List.of(
                gso("TCPV4 on IPv6", tcp6, VIRTIO_NET_HDR_GSO_TCPV4, 1000),
                gso("TCPV6 on IPv4", tcp4, VIRTIO_NET_HDR_GSO_TCPV6, 1000),
                gso("TCPV4 on UDP", udp4, VIRTIO_NET_HDR_GSO_TCPV4, 1000),
                gso("TCPV6 on UDP", udp6, VIRTIO_NET_HDR_GSO_TCPV6, 1000),
                gso("UDP_L4 on TCP", tcp4, VIRTIO_NET_HDR_GSO_UDP_L4, 1000),
                new Bad("csum_start off by two", NetHdr.of(1, 1, 1000, tcp4.l4() + 2, 16), tcp4.forDevice(new byte[9])),
                new Bad("csum_offset of UDP", NetHdr.of(1, 1, 1000, tcp4.l4(), 6), tcp4.forDevice(new byte[9])),
                new Bad("a fragment", NetHdr.gso(tcp4, 1000), fragment),
                new Bad("cut short", NetHdr.gso(tcp6, 1000), cut),
                new Bad("no IP", NetHdr.of(1, 1, 1000, 34, 16), new byte[3000]),
                gso("3000 segments", tcp4, VIRTIO_NET_HDR_GSO_TCPV4, 1),
                new Bad("1025 segments", NetHdr.gso(tcp4, 32), tcp4.forDevice(new byte[32 * 1024 + 1])));
    }

    /** A frame to port 80 whose "checksum" lies where its port is, with a payload that makes it 22. */
    private static byte[] toPort80UntilItIsSummed() {
        final byte[] frame = new byte[60];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[17] = 46;
        frame[22] = 64;
        frame[23] = 6;
        frame[26] = 10;
        frame[30] = 10;
        frame[37] = 80;
        frame[46] = 0x50;
        int sum = 0;
        for (int i = 20; i < frame.length; i += 2) {
            sum += (frame[i] & 0xFF) << 8 | frame[i + 1] & 0xFF;
        }
        final int missing = Math.floorMod(0xFFFF - 22 - sum, 0xFFFF);
        frame[58] = (byte) (missing >> 8);
        frame[59] = (byte) missing;
        return frame;
    }

    /** What a filter judges is what arrives, whatever the sender has summed up and stored where. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldJudgeWhatAChecksumWouldWrite(final boolean guestCsum) throws IOException {
        final Path rules = Files.writeString(folder.resolve("acl"), "deny tcp from any to any port 22\n");
        final String path = "a -> filter(rules=" + rules + ") -> b";
        final long receiver = guestCsum ? LIKE_QEMU | GUEST_OFFLOADS : LIKE_QEMU;
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), path);
                NetDriver a = backend.guest("a", LIKE_QEMU | HOST_OFFLOADS, LONG_FRAMES);
                NetDriver b = backend.guest("b", receiver, NetOptions.defaults())) {
            a.transmit(NetHdr.of(1, 0, 0, 20, 16), toPort80UntilItIsSummed(), Framing.ONE_BUFFER);
            a.awaitTransmitted();
            b.expectNoFrame(Duration.ofMillis(100));
            assertEquals(1L, backend.stats().paths().get(0).drops().get("denied"));
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldCountRefusedRequestsAtTheirSenderAndReturnTheChain(final Rings rings) {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", rings.features() | HOST_OFFLOADS, LONG_FRAMES);
                Bystanders bystanders = new Bystanders(backend, rings)) {
            final Random random = new Random(1);
            long refused = 0;
            try (NetDriver b = backend.guest("b", rings.features() | GUEST_OFFLOADS, rings.options())) {
                refused += refuse(backend, a, b, nonsense(random), refused);
            }
            RunningBackend.await("b is down", () -> backend.port("b").state().equals("down"));
            try (NetDriver b = backend.guest("b", rings.features(), rings.options())) {
                refused += refuse(backend, a, b, nonsense(random), refused);
                refused += refuse(backend, a, b, contradictions(random), refused);
            }
            assertEquals(Map.of("bad_offload", refused), backend.port("a").faults());
            bystanders.awaitMore();
        }
    }

    private static int refuse(
            final RunningBackend backend,
            final NetDriver a,
            final NetDriver b,
            final List<Bad> all,
            final long before) {
        final byte[] good = new byte[60];
        long counted = before;
        for (final Bad bad : all) {
            final long received = backend.port("a").received().packets();
            final long sent = backend.port("b").sent().packets();
            a.transmit(bad.header(), bad.frame(), Framing.HEADER_SPLIT);
            a.awaitTransmitted();
            counted++;
            assertEquals(counted, backend.port("a").faults().get("bad_offload"), bad.name());
            assertEquals(received, backend.port("a").received().packets(), bad.name());
            assertEquals(sent, backend.port("b").sent().packets(), bad.name());
            a.transmit(good);
            assertArrayEquals(good, b.receive(), bad.name());
        }
        assertEquals(
                0, backend.port("b").drops().values().stream().mapToLong(n -> n).sum());
        assertEquals(Map.of(), backend.port("b").faults());
        return all.size();
    }

    @ParameterizedTest
    @EnumSource
    void shouldCutAFrameIntoAsManySegmentsAsAreAllowed(final Rings rings) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b,wait=5000"), "a -> b");
                NetDriver a = backend.guest("a", rings.features() | HOST_OFFLOADS, LONG_FRAMES);
                NetDriver b = backend.guest("b", rings.features(), rings.options())) {
            final Flow flow = new Flow(new Random(5), true, true, 0, 0);
            a.transmit(NetHdr.gso(flow, 32), flow.forDevice(new byte[32 * 1024]), Framing.ONE_BUFFER);
            for (int i = 0; i < 1024; i++) {
                assertArrayEquals(flow.segment(new byte[32], i, 1024, 32 * i), b.receive());
            }
            assertEquals(Map.of(), backend.port("a").faults());
        }
    }

    /** With the offloads switched off, or not accepted, a header means nothing. */
    @ParameterizedTest
    @ValueSource(strings = {"a", "a,offloads=off"})
    void shouldNotLookAtTheHeaderOfADriverWithoutOffloads(final String port) {
        final long wanted = port.equals("a") ? LIKE_QEMU : LIKE_QEMU | HOST_OFFLOADS | GUEST_OFFLOADS;
        final byte[] ones = new byte[12];
        Arrays.fill(ones, (byte) 0xFF);
        final Flow flow = new Flow(new Random(1), false, true, 0, 0);
        final byte[] frame = flow.forDevice(new byte[1000]);
        for (final String path : new String[] {"a <-> b", "a <-> count <-> b"}) {
            try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of(port, "b"), path);
                    NetDriver a = backend.guest("a", wanted, NetOptions.defaults());
                    NetDriver b = backend.guest("b", LIKE_QEMU | GUEST_OFFLOADS, NetOptions.defaults())) {
                for (final byte[] header : List.of(ones, NetHdr.csum(flow), NetHdr.gso(flow, 100))) {
                    a.transmit(header, frame, Framing.ONE_BUFFER);
                    final var received = b.receiveFrame(Duration.ofSeconds(5));
                    assertArrayEquals(frame, received.frame());
                    assertArrayEquals(new byte[10], Arrays.copyOf(received.header(), 10));
                }
                assertEquals(Map.of(), backend.port("a").faults());
            }
        }
    }

    @Test
    void shouldOfferNoOffloadsWhereTheyAreSwitchedOff() {
        try (RunningBackend backend =
                        RunningBackend.withPaths(folder, false, List.of("a,offloads=off", "b"), "a <-> b");
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU | HOST_OFFLOADS, LONG_FRAMES)) {
            final long offloads = HOST_OFFLOADS | GUEST_OFFLOADS;
            assertEquals(0, a.frontend().offered() & offloads);
            assertEquals(offloads, b.frontend().offered() & offloads);
            final Flow flow = new Flow(new Random(1), true, false, 1, 0);
            b.transmit(NetHdr.gso(flow, 700), flow.forDevice(new byte[1401]), Framing.ONE_BUFFER);
            assertArrayEquals(flow.segment(new byte[700], 0, 3, 0), a.receive());
            assertArrayEquals(flow.segment(new byte[700], 1, 3, 700), a.receive());
            assertArrayEquals(flow.segment(new byte[1], 2, 3, 1400), a.receive());
        }
    }
}

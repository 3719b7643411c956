package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.HOST_OFFLOADS;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_RING_PACKED;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_VERSION_1;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_GUEST_CSUM;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_GUEST_ECN;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_GUEST_TSO4;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_GUEST_TSO6;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_GUEST_USO4;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_GUEST_USO6;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_MRG_RXBUF;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_ECN;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_TCPV4;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_TCPV6;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_HDR_GSO_UDP_L4;
import static org.mypervisor.driversim.Virtio.mask;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.mypervisor.driversim.Framing;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.ReceivedFrame;
import org.mypervisor.offload.control.StatsReport;
import org.mypervisor.offload.gso.Flow;

/**
 * Whatever a sender leaves to its device and whatever a receiver takes: the payload arrives, whole, in order, with right
 * checksums, in frames that this receiver may be given. Each back-end runs several pairs of ports: each kind of receive
 * buffers behind a plain wire and behind a filter.
 */
@Timeout(60)
final class OffloadMatrixTest {
    private static final Duration LOST = Duration.ofSeconds(10);
    private static final int BUFFER_SIZE = 2048;
    private static final int LARGEST_BUFFER = 70_000;
    private static final int HEADER_SIZE = 12;
    private static final int LEGACY_HEADER_SIZE = 10;
    private static final int MOST_TAGS = 2;
    private static final int MOST_PAYLOAD = 64_000;
    private static final int LARGE_GSO_SIZE = 1448;
    private static final int SMALL_GSO_SIZE = 536;

    private static final long CSUM = mask(VIRTIO_NET_F_GUEST_CSUM);
    private static final long TSO4 = mask(VIRTIO_NET_F_GUEST_TSO4);
    private static final long TSO6 = mask(VIRTIO_NET_F_GUEST_TSO6);
    private static final long ECN = mask(VIRTIO_NET_F_GUEST_ECN);
    private static final long USO4 = mask(VIRTIO_NET_F_GUEST_USO4);
    private static final long USO6 = mask(VIRTIO_NET_F_GUEST_USO6);

    /** What the sender leaves to its device. */
    private enum Request {
        PLAIN(true, 0),
        CSUM_TCP(true, 0),
        CSUM_UDP(false, 0),
        TSO4(true, VIRTIO_NET_HDR_GSO_TCPV4),
        TSO6(true, VIRTIO_NET_HDR_GSO_TCPV6),
        TSO4_ECN(true, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN),
        TSO6_ECN(true, VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN),
        USO(false, VIRTIO_NET_HDR_GSO_UDP_L4);

        private final boolean tcp;
        private final int gsoType;

        Request(final boolean tcp, final int gsoType) {
            this.tcp = tcp;
            this.gsoType = gsoType;
        }

        boolean isFor(final boolean ipv6) {
            return switch (this) {
                case TSO4, TSO4_ECN -> !ipv6;
                case TSO6, TSO6_ECN -> ipv6;
                default -> true;
            };
        }

        /** Features without which the receiver must not see it. */
        long needed(final boolean ipv6) {
            return switch (this) {
                case PLAIN -> 0;
                case CSUM_TCP, CSUM_UDP -> OffloadMatrixTest.CSUM;
                case TSO4 -> OffloadMatrixTest.CSUM | OffloadMatrixTest.TSO4;
                case TSO6 -> OffloadMatrixTest.CSUM | OffloadMatrixTest.TSO6;
                case TSO4_ECN -> OffloadMatrixTest.CSUM | OffloadMatrixTest.TSO4 | ECN;
                case TSO6_ECN -> OffloadMatrixTest.CSUM | OffloadMatrixTest.TSO6 | ECN;
                case USO -> OffloadMatrixTest.CSUM | (ipv6 ? USO6 : USO4);
            };
        }
    }

    private enum Buffers {
        MERGED(256, BUFFER_SIZE),
        LARGE(64, LARGEST_BUFFER),
        SMALL(256, BUFFER_SIZE),
        /** Split rings only, and a header of 10 bytes. */
        LEGACY(64, LARGEST_BUFFER);

        private final int queueSize;
        private final int size;

        Buffers(final int queueSize, final int size) {
            this.queueSize = queueSize;
            this.size = size;
        }

        long features() {
            return switch (this) {
                case MERGED -> LIKE_QEMU;
                case LARGE, SMALL -> LIKE_QEMU & ~mask(VIRTIO_NET_F_MRG_RXBUF);
                case LEGACY -> LIKE_QEMU & ~mask(VIRTIO_NET_F_MRG_RXBUF, VIRTIO_F_VERSION_1);
            };
        }

        private int headerSize() {
            return this == LEGACY ? LEGACY_HEADER_SIZE : HEADER_SIZE;
        }

        boolean hold(final int frameLength) {
            return this == MERGED || headerSize() + frameLength <= size;
        }

        int count(final int frameLength) {
            return (headerSize() + frameLength + size - 1) / size;
        }
    }

    /** A pair of ports: what is sent at one arrives at the other. */
    private record Lane(int number, NetDriver from, NetDriver to, Buffers buffers) {
        static Lane open(
                final RunningBackend backend, final int number, final long guestOffloads, final boolean packed) {
            final Buffers buffers = Buffers.values()[number / 2];
            // Behind the filter, frames go from one kind of ring to the other.
            final boolean packedSender = buffers != Buffers.LEGACY && packed ^ number % 2 != 0;
            final long sender = buffers == Buffers.LEGACY ? buffers.features() : LIKE_QEMU;
            return new Lane(
                    number,
                    backend.guest(
                            "a" + number,
                            sender | HOST_OFFLOADS | ring(packedSender),
                            options(64, packedSender).withTransmitBufferSize(LARGEST_BUFFER)),
                    backend.guest(
                            "b" + number,
                            buffers.features() | guestOffloads | ring(packed),
                            options(buffers.queueSize, packed).withReceiveBufferSize(buffers.size)),
                    buffers);
        }

        private static long ring(final boolean packed) {
            return packed ? mask(VIRTIO_F_RING_PACKED) : 0;
        }

        private static NetOptions options(final int queueSize, final boolean packed) {
            return NetOptions.defaults().withQueueSize(packed ? queueSize - 1 : queueSize);
        }
    }

    /** One frame of a sender. */
    private record Sent(Request request, Flow flow, byte[] payload, int gsoSize) {
        static Sent of(final Random random, final Request request, final Flow flow) {
            final int gsoSize = random.nextBoolean()
                    ? LARGE_GSO_SIZE
                    : SMALL_GSO_SIZE + random.nextInt(LARGE_GSO_SIZE - SMALL_GSO_SIZE);
            final int most = request.gsoType == 0 ? LARGE_GSO_SIZE : random.nextInt(4) == 0 ? 2500 : MOST_PAYLOAD;
            return new Sent(request, flow, Flow.bytes(random, 1 + random.nextInt(most)), gsoSize);
        }

        byte[] header() {
            return switch (request) {
                case PLAIN -> new byte[HEADER_SIZE];
                case CSUM_TCP, CSUM_UDP -> NetHdr.csum(flow);
                default -> NetHdr.gso(flow, request.gsoType, gsoSize);
            };
        }

        byte[] frame() {
            return request == Request.PLAIN ? flow.whole(payload) : flow.forDevice(payload);
        }

        boolean goesAsSent(final long features, final Buffers buffers) {
            final long needed = request.needed(flow.isIpv6());
            return (features & needed) == needed && buffers.hold(flow.headerLength() + payload.length);
        }

        /** The frames on a wire. */
        List<byte[]> segments() {
            if (request.gsoType == 0) {
                return List.of(flow.whole(payload));
            }
            final List<byte[]> segments = new ArrayList<>();
            final int count = (payload.length + gsoSize - 1) / gsoSize;
            for (int i = 0; i < count; i++) {
                final int end = Math.min(payload.length, (i + 1) * gsoSize);
                segments.add(flow.segment(Arrays.copyOfRange(payload, i * gsoSize, end), i, count, i * gsoSize));
            }
            return segments;
        }
    }

    @TempDir
    private Path folder;

    private int segmented;
    private int asSent;

    static Stream<Arguments> receivers() {
        return Stream.of(
                        Arguments.of("nothing", 0L),
                        Arguments.of("GUEST_CSUM", CSUM),
                        Arguments.of("TSO4", CSUM | TSO4),
                        Arguments.of("TSO6", CSUM | TSO6),
                        Arguments.of("TSO4 TSO6", CSUM | TSO4 | TSO6),
                        Arguments.of("TSO4 TSO6 ECN", CSUM | TSO4 | TSO6 | ECN),
                        Arguments.of("USO4", CSUM | USO4),
                        Arguments.of("USO6", CSUM | USO6),
                        Arguments.of("all", CSUM | TSO4 | TSO6 | ECN | USO4 | USO6))
                .flatMap(receiver -> Stream.of(false, true)
                        .map(packed -> Arguments.of(receiver.get()[0], receiver.get()[1], packed)));
    }

    @ParameterizedTest(name = "{0}, packed {2}")
    @MethodSource("receivers")
    void shouldDeliverWhateverTheSenderLeavesToItsDevice(
            final String name, final long guestOffloads, final boolean packed) throws IOException {
        final Path rules = Files.writeString(folder.resolve("acl.rules"), "deny ether type 0x88cc\n");
        final List<String> ports = new ArrayList<>();
        final List<String> paths = new ArrayList<>();
        final int lanes = 2 * (packed ? Buffers.LEGACY.ordinal() : Buffers.values().length);
        for (int i = 0; i < lanes; i++) {
            ports.addAll(List.of("a" + i, "b" + i + ",wait=5000"));
            paths.add("a" + i + " -> " + (i % 2 == 0 ? "" : "filter(rules=" + rules + ") -> ") + "b" + i);
        }
        final List<Lane> open = new ArrayList<>();
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, ports, paths.toArray(String[]::new))) {
            try {
                for (int i = 0; i < lanes; i++) {
                    open.add(Lane.open(backend, i, guestOffloads, packed));
                }
                exchangeEverything(backend, open, new Random(guestOffloads));
            } finally {
                open.forEach(lane -> {
                    lane.from().close();
                    lane.to().close();
                });
            }
        }
        System.out.println(name + ": " + asSent + " as sent, " + segmented + " segments");
    }

    private void exchangeEverything(final RunningBackend backend, final List<Lane> lanes, final Random random) {
        int frames = 0;
        long bytes = 0;
        for (final Request request : Request.values()) {
            for (int tags = 0; tags <= MOST_TAGS; tags++) {
                for (final int extensions : new int[] {-1, 0, 1 + random.nextInt(3)}) {
                    final boolean ipv6 = extensions >= 0;
                    if (request.isFor(ipv6)) {
                        final Flow flow =
                                new Flow(random, ipv6, request.tcp, tags, ipv6 ? extensions : random.nextInt(3));
                        final Sent sent = Sent.of(random, request, flow);
                        exchange(lanes, sent, framing(random));
                        frames++;
                        bytes += sent.frame().length;
                    }
                }
            }
        }
        for (final Lane lane : lanes) {
            lane.from().awaitTransmitted();
            lane.to().expectNoFrame(Duration.ZERO);
            check(backend.port("a" + lane.number()), backend.port("b" + lane.number()), frames, bytes);
        }
    }

    private static Framing framing(final Random random) {
        return switch (random.nextInt(4)) {
            case 0 -> Framing.ONE_BUFFER;
            case 1 -> Framing.HEADER_APART;
            case 2 -> Framing.HEADER_SPLIT;
            default -> Framing.INDIRECT;
        };
    }

    /** A frame is one packet, however many it became. */
    private static void check(
            final StatsReport.PortStats from, final StatsReport.PortStats to, final int frames, final long bytes) {
        assertEquals(new StatsReport.Traffic(frames, bytes), from.received());
        assertEquals(new StatsReport.Traffic(frames, bytes), to.sent());
        for (final StatsReport.PortStats port : List.of(from, to)) {
            assertEquals(0, port.drops().values().stream().mapToLong(n -> n).sum(), () -> "drops " + port);
            assertEquals(0, port.faults().values().stream().mapToLong(n -> n).sum(), () -> "faults " + port);
        }
    }

    private void exchange(final List<Lane> lanes, final Sent sent, final Framing framing) {
        final byte[] frame = sent.frame();
        final List<byte[]> segments = sent.segments();
        for (final Lane lane : lanes) {
            lane.from().transmit(Arrays.copyOf(sent.header(), lane.from().headerSize()), frame, framing);
        }
        for (final Lane lane : lanes) {
            final String what = sent.request() + ", " + sent.flow() + ", payload " + sent.payload().length
                    + ", gso_size " + sent.gsoSize() + ", lane " + lane.number() + " " + lane.buffers();
            final ByteArrayOutputStream payload = new ByteArrayOutputStream();
            if (sent.goesAsSent(lane.to().frontend().features(), lane.buffers())) {
                final ReceivedFrame received = receive(lane, payload, sent, what);
                checkRequest(sent, received, what);
                assertArrayEquals(frame, received.frame(), what);
                asSent++;
            } else {
                for (final byte[] segment : segments) {
                    final ReceivedFrame received = receive(lane, payload, sent, what);
                    assertArrayEquals(
                            new byte[LEGACY_HEADER_SIZE], Arrays.copyOf(received.header(), LEGACY_HEADER_SIZE), what);
                    assertArrayEquals(segment, received.frame(), what);
                    segmented++;
                }
            }
            assertArrayEquals(sent.payload(), payload.toByteArray(), what);
        }
    }

    private static ReceivedFrame receive(
            final Lane lane, final ByteArrayOutputStream payload, final Sent sent, final String what) {
        final ReceivedFrame received = lane.to().receiveFrame(LOST);
        final int headerLength = sent.flow().headerLength();
        payload.write(received.frame(), headerLength, received.frame().length - headerLength);
        assertEquals(lane.buffers().count(received.frame().length), received.buffers(), what);
        return received;
    }

    private static void checkRequest(final Sent sent, final ReceivedFrame received, final String what) {
        assertEquals(sent.request() != Request.PLAIN, received.needsCsum(), what);
        assertEquals(sent.request().gsoType, received.gsoType(), what);
        if (received.needsCsum()) {
            assertEquals(sent.flow().l4(), received.csumStart(), what);
            assertEquals(sent.flow().csumOffset(), received.csumOffset(), what);
            assertArrayEquals(sent.flow().whole(sent.payload()), received.withChecksum(), what);
        }
        if (received.gsoType() != 0) {
            assertEquals(sent.gsoSize(), received.gsoSize(), what);
        }
    }
}

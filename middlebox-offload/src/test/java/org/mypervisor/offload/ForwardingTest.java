package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.VHOST_USER_F_PROTOCOL_FEATURES;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_EVENT_IDX;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_INDIRECT_DESC;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_IN_ORDER;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_RING_PACKED;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_VERSION_1;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_MRG_RXBUF;
import static org.mypervisor.driversim.Virtio.mask;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.mypervisor.driversim.Framing;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.LegalOddity;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.offload.control.RulesReport;

/** Frames cross byte by byte, whatever the two drivers negotiated and however they cut their buffers. */
final class ForwardingTest {
    private static final long MODERN = mask(VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_VERSION_1);
    private static final long EVERYTHING =
            MODERN | mask(VIRTIO_NET_F_MRG_RXBUF, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC);

    private static final long LEGACY = mask(VHOST_USER_F_PROTOCOL_FEATURES);
    private static final long PACKED = MODERN | mask(VIRTIO_F_RING_PACKED);

    @TempDir
    private Path folder;

    static Stream<Arguments> featurePairs() {
        final List<Long> sets = new ArrayList<>();
        for (int bits = 0; bits < 8; bits++) {
            sets.add(MODERN
                    | ((bits & 1) != 0 ? mask(VIRTIO_NET_F_MRG_RXBUF) : 0)
                    | ((bits & 2) != 0 ? mask(VIRTIO_F_EVENT_IDX) : 0)
                    | ((bits & 4) != 0 ? mask(VIRTIO_F_INDIRECT_DESC) : 0));
        }
        for (int bits = 0; bits < 16; bits++) {
            sets.add(PACKED
                    | ((bits & 1) != 0 ? mask(VIRTIO_NET_F_MRG_RXBUF) : 0)
                    | ((bits & 2) != 0 ? mask(VIRTIO_F_EVENT_IDX) : 0)
                    | ((bits & 4) != 0 ? mask(VIRTIO_F_INDIRECT_DESC) : 0)
                    | ((bits & 8) != 0 ? mask(VIRTIO_F_IN_ORDER) : 0));
        }
        sets.add(EVERYTHING | mask(VIRTIO_F_IN_ORDER));
        // The legacy headers of 10 and 12 bytes.
        sets.add(LEGACY);
        sets.add(mask(VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_NET_F_MRG_RXBUF));
        return sets.stream()
                .flatMap(a -> Stream.of(MODERN, EVERYTHING, LEGACY, EVERYTHING | PACKED | mask(VIRTIO_F_IN_ORDER))
                        .map(b -> Arguments.of(a, b)));
    }

    @ParameterizedTest
    @MethodSource("featurePairs")
    void shouldDeliverEveryFramingOfEverySizeUnchanged(final long featuresA, final long featuresB) {
        for (final String path : new String[] {"a <-> b", "a <-> count <-> b"}) {
            try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), path);
                    NetDriver a = backend.guest("a", featuresA, options(featuresA));
                    NetDriver b = backend.guest("b", featuresB, options(featuresB))) {
                final Random random = new Random(featuresA ^ featuresB);
                for (final Framing framing : Framing.values()) {
                    for (final int size : new int[] {1, 14, 60, 116, 127, 128, 129, 1514, 2000}) {
                        exchange(a, b, featuresA, framing, frame(random, size));
                        exchange(b, a, featuresB, framing, frame(random, size));
                    }
                }
            }
        }
    }

    private static NetOptions options(final long features) {
        return ((features & PACKED) == PACKED ? Rings.PACKED : Rings.SPLIT).options();
    }

    private static void exchange(
            final NetDriver from, final NetDriver to, final long features, final Framing framing, final byte[] frame) {
        if (!framing.isLegalWith(features)) {
            return;
        }
        from.transmit(frame, framing);
        assertArrayEquals(frame, to.receive(), () -> framing + ", " + frame.length + " bytes");
        from.awaitTransmitted();
    }

    private static byte[] frame(final Random random, final int size) {
        final byte[] frame = new byte[size];
        random.nextBytes(frame);
        return frame;
    }

    @ParameterizedTest
    @EnumSource
    void shouldMergeSmallReceiveBuffersOfAnySize(final Rings rings) {
        for (final int bufferSize : new int[] {12, 13, 61, 128, 700}) {
            try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a <-> b");
                    NetDriver a = backend.guest("a", rings.features(), rings.options());
                    NetDriver b =
                            backend.guest("b", rings.features(), rings.options().withReceiveBufferSize(bufferSize))) {
                final Random random = new Random(bufferSize);
                for (int i = 0; i < 300; i++) {
                    final byte[] frame = frame(random, 1 + random.nextInt(1514));
                    a.transmit(frame);
                    assertArrayEquals(frame, b.receive(), "frame " + i + " into buffers of " + bufferSize);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDeliverLegalOddities(final Rings rings) {
        final GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 8 << 20, 8 << 20, 8 << 20);
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a <-> count <-> b");
                memory;
                Frontend frontend = Frontend.client(backend.socket("a")).want(rings.features());
                NetDriver b = backend.guest("b", rings.features(), rings.options())) {
            frontend.connectLikeQemu();
            try (NetDriver a = new NetDriver(frontend, memory, rings.options())) {
                a.start();
                for (final LegalOddity oddity : LegalOddity.values()) {
                    if (!oddity.isLegalWith(rings.features())) {
                        continue;
                    }
                    final byte[] frame = frame(new Random(oddity.ordinal()), 300);
                    oddity.transmit(a, frame);
                    assertArrayEquals(frame, b.receive(), oddity.name());
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldKeepOrderAndLoseNothingOverManyTurnsOfTheIndices(final Rings rings) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, true, List.of("a", "b"), "a <-> b");
                NetDriver a = backend.guest("a", rings.features(), rings.options());
                NetDriver b = backend.guest("b", rings.features(), rings.options())) {
            int received = 0;
            for (int sent = 0; sent < 150_000; sent++) {
                a.transmit(number(sent));
                if (sent - received >= 100) {
                    assertArrayEquals(number(received), b.receive());
                    received++;
                }
            }
            while (received < 150_000) {
                assertArrayEquals(number(received), b.receive());
                received++;
            }
            assertEquals(150_000, backend.port("b").sent().packets());
            assertEquals(0, backend.port("b").drops().get("no_buffer"));
        }
    }

    private static byte[] number(final int value) {
        return new byte[] {(byte) value, (byte) (value >> 8), (byte) (value >> 16), 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
        };
    }

    @ParameterizedTest
    @EnumSource
    void shouldJudgeInTheHostAndForwardTheRest(final Rings rings) throws Exception {
        Files.writeString(folder.resolve("acl.rules"), "deny ether type 0x88cc\n");
        final String path = "a -> filter(rules=" + folder.resolve("acl.rules") + ") -> b";
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), path);
                NetDriver a = backend.guest("a", rings.features(), rings.options());
                NetDriver b = backend.guest("b", rings.features(), rings.options())) {
            for (int i = 0; i < 50; i++) {
                a.transmit(ethernet(0x88cc, i));
                a.transmit(ethernet(0x0806, i));
                assertArrayEquals(ethernet(0x0806, i), b.receive());
            }
            assertEquals(50, backend.path(path).drops().get("denied"));
            assertEquals(100, backend.path(path).packets());
            assertEquals(50, backend.port("b").sent().packets());
            assertEquals(100, backend.port("a").received().packets());
            assertEquals(100 * 60, backend.port("a").received().bytes());
            assertEquals(
                    List.of(
                            new RulesReport.RuleStats("deny ether type 0x88cc", 50),
                            new RulesReport.RuleStats("default allow", 50)),
                    backend.backend().rules().filters().get(0).rules());
        }
    }

    private static byte[] ethernet(final int type, final int number) {
        final byte[] frame = new byte[60];
        frame[12] = (byte) (type >> 8);
        frame[13] = (byte) type;
        frame[14] = (byte) number;
        return frame;
    }
}

package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.mask;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.function.BiPredicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Frames through {@link NetDriver} and a looping back-end built on {@link SlowDevice}, in every framing. */
@SuppressWarnings("try") // The back-end works by being there.
final class NetDriverTest {
    private static final long MODERN = mask(28, 29, 30, 32);

    @TempDir
    private Path folder;

    static Stream<Long> featureSets() {
        return Stream.of(
                mask(30),
                mask(30, 15),
                mask(30, 32),
                mask(30, 32, 29),
                mask(30, 32, 28),
                mask(30, 32, 15, 28, 29),
                mask(30, 32, 15, 28, 29, 35),
                mask(30, 32, 34),
                mask(30, 32, 29, 34),
                mask(30, 32, 28, 34),
                mask(30, 32, 15, 28, 29, 34),
                mask(30, 32, 15, 28, 29, 34, 35));
    }

    @ParameterizedTest
    @MethodSource("featureSets")
    void shouldLoopEveryFramingWhenAnyFeaturesAreChosen(final long features) throws IOException {
        final Random random = new Random(1);
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), features, NetOptions.defaults())) {
            assertEquals(features, net.frontend().features());
            for (int round = 0; round < 3; round++) {
                for (final Framing framing : Framing.values()) {
                    if (framing.isLegalWith(features)) {
                        final byte[] frame = randomFrame(random, 14 + random.nextInt(1500));
                        net.transmit(frame, framing);
                        assertArrayEquals(frame, net.receive(), framing.name());
                    }
                }
            }
            net.awaitTransmitted();
            assertEquals(256, net.transmitq().freeDescriptors());
        }
    }

    static Stream<Arguments> framingsOfBothRings() {
        return choicesOfBothRings(Framing.values(), Framing::isLegalWith);
    }

    static Stream<Arguments> odditiesOfBothRings() {
        return choicesOfBothRings(LegalOddity.values(), LegalOddity::isLegalWith);
    }

    private static <T> Stream<Arguments> choicesOfBothRings(final T[] choices, final BiPredicate<T, Long> legal) {
        return Stream.of(MODERN | mask(15), MODERN | mask(15, 34)).flatMap(features -> Stream.of(choices)
                .filter(choice -> legal.test(choice, features))
                .map(choice -> Arguments.of(choice, features)));
    }

    @ParameterizedTest
    @MethodSource("framingsOfBothRings")
    void shouldReceiveIntoEveryFramingWhenMergeable(final Framing framing, final long features) throws IOException {
        final NetOptions options = NetOptions.defaults()
                .withReceiveFraming(framing)
                .withReceiveBufferSize(framing == Framing.ONE_BYTE_PER_BUFFER ? 64 : 300);
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), features, options)) {
            final byte[] frame = randomFrame(new Random(2), framing == Framing.LONGEST_CHAIN ? 200 : 240);
            for (int i = 0; i < 20; i++) {
                net.transmit(frame);
                assertArrayEquals(frame, net.receive());
            }
        }
    }

    @Test
    void shouldReassembleWhenAFrameTakesSeveralBuffers() throws IOException {
        final NetOptions options =
                NetOptions.defaults().withReceiveBufferSize(256).withTransmitBufferSize(70000);
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), MODERN | mask(15), options)) {
            final byte[] frame = randomFrame(new Random(3), 60000);
            net.transmit(frame, Framing.HEADER_SPLIT);
            final ReceivedFrame received = net.receiveFrame(Duration.ofSeconds(5));
            assertArrayEquals(frame, received.frame());
            assertEquals((60012 + 255) / 256, received.buffers());
        }
    }

    @ParameterizedTest
    @MethodSource("odditiesOfBothRings")
    void shouldLoopLegalOddities(final LegalOddity oddity, final long features) throws IOException {
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 2 << 20, 2 << 20, 6 << 20);
                Frontend frontend = Frontend.client(folder.resolve("s")).want(features)) {
            frontend.connectLikeQemu();
            try (NetDriver net = new NetDriver(frontend, memory, NetOptions.defaults())) {
                net.start();
                for (int i = 0; i < 3; i++) {
                    final byte[] frame = randomFrame(new Random(i), 333);
                    net.transmit(frame);
                    assertArrayEquals(frame, net.receive());
                    net.awaitTransmitted();
                    oddity.transmit(net, frame);
                    assertArrayEquals(frame, net.receive());
                    net.awaitTransmitted();
                }
            }
        }
    }

    @Test
    void shouldLoseNothingWhenStoppedAndContinued() throws IOException {
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), MODERN, NetOptions.defaults())) {
            final byte[] frame = randomFrame(new Random(5), 99);
            for (int i = 1; i <= 20; i++) {
                net.transmit(frame);
                assertArrayEquals(frame, net.receive());
                net.awaitTransmitted();
                assertArrayEquals(new int[] {i, i}, net.stop());
                net.start();
            }
            net.stop();
            net.reset();
            net.start();
            net.transmit(frame);
            assertArrayEquals(frame, net.receive());
        }
    }

    @Test
    void shouldResumePackedRingsWhereTheyStopped() throws IOException {
        final NetOptions options = NetOptions.defaults().withQueueSize(7);
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), MODERN | mask(34), options)) {
            final byte[] frame = randomFrame(new Random(5), 99);
            for (int i = 1; i <= 20; i++) {
                net.transmit(frame, i % 3 == 0 ? Framing.HEADER_APART : Framing.ONE_BUFFER);
                assertArrayEquals(frame, net.receive());
                net.awaitTransmitted();
                final PackedBase position = ((PackedDriver) net.transmitq()).position();
                assertEquals(position.encode(), net.stop()[1]);
                net.start();
                net.frontend().getFeatures();
                assertTrue(backend.log.contains("SET_VRING_BASE 1=" + position.encode()));
            }
            net.stop();
            net.reset();
            net.start();
            net.transmit(frame);
            assertArrayEquals(frame, net.receive());
        }
    }

    /** QEMU has no index of a packed ring but the one it saved last, which is none of the dead back-end's. */
    @Test
    void shouldSendTheStaleBaseOfPackedRingsWhenTheBackEndWentAway() throws IOException {
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net =
                        NetDriver.launchLikeQemu(folder.resolve("s"), MODERN | mask(34), NetOptions.defaults())) {
            net.transmit(new byte[99]);
            net.receive();
            backend.hangUp();
            net.frontend().socket().expectClosed();
            net.reconnect();
            assertEquals(0x8000_8000, net.transmitq().base());
            net.stop();
            net.reset();
            net.start();
            net.transmit(new byte[99]);
            net.receive();
            net.awaitTransmitted();
            assertEquals(0x8001_8001, net.stop()[1]);
            net.start();
            backend.hangUp();
            net.frontend().socket().expectClosed();
            backend.log.clear();
            net.reconnect();
            net.frontend().getFeatures();
            assertTrue(backend.log.contains("SET_VRING_BASE 1=" + 0x8001_8001), backend.log.toString());
        }
    }

    @Test
    void shouldGoOnWhenTheBackEndWentAway() throws IOException {
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), MODERN, NetOptions.defaults())) {
            final byte[] frame = randomFrame(new Random(6), 99);
            for (int i = 1; i <= 5; i++) {
                net.transmit(frame);
                assertArrayEquals(frame, net.receive());
                net.awaitTransmitted();
                backend.hangUp();
                net.frontend().socket().expectClosed();
                net.reconnect();
            }
            assertEquals(5, net.transmitq().base());
        }
    }

    @Test
    void shouldKeepPairsApartWhenSeveralRun() throws IOException {
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20);
                Frontend frontend = Frontend.client(folder.resolve("s"))) {
            frontend.connectLikeQemu(2);
            try (NetDriver first = new NetDriver(frontend, memory, NetOptions.defaults());
                    NetDriver second = new NetDriver(frontend, memory, NetOptions.defaults())) {
                first.postReceiveBuffers();
                second.postReceiveBuffers();
                frontend.startLikeQemu(memory, NetDriver.vringsOf(first, second));
                frontend.setQueuePairs(2);
                second.transmit(new byte[60]);
                assertEquals(60, second.receive().length);
                first.expectNoFrame(Duration.ofMillis(20));
                first.transmit(new byte[61]);
                assertEquals(61, first.receive().length);
            }
        }
    }

    @Test
    void shouldLoopWhenTheBackEndDialsVirtioUser() throws IOException {
        final Path path = folder.resolve("s");
        try (GuestMemoryFile memory = GuestMemoryFile.likeVirtioUser(16 << 20);
                Frontend frontend = Frontend.server(path).want(Virtio.LIKE_VIRTIO_USER);
                FakeBackend backend = new FakeBackend(path, true, FakeBackend.OFFERED, mask(0, 3, 16))) {
            frontend.connectLikeVirtioUser(1);
            try (NetDriver net = new NetDriver(frontend, memory, NetOptions.defaults())) {
                net.postReceiveBuffers();
                frontend.startLikeVirtioUser(memory, net.vrings());
                net.transmit(new byte[77]);
                assertEquals(77, net.receive().length);
                net.awaitTransmitted();
                frontend.stopLikeVirtioUser(net.vrings());
                frontend.reconnectLikeVirtioUser(memory, net.vrings());
            }
            assertTrue(backend.log.contains("SET_STATUS!"));
        }
    }

    @Test
    void shouldBeginPackedRingsAnewWhenTheBackEndDialsVirtioUser() throws IOException {
        final Path path = folder.resolve("s");
        try (GuestMemoryFile memory = GuestMemoryFile.likeVirtioUser(16 << 20);
                Frontend frontend = Frontend.server(path).want(Virtio.LIKE_VIRTIO_USER_PACKED);
                FakeBackend backend = new FakeBackend(path, true, FakeBackend.OFFERED, mask(0, 3, 16))) {
            frontend.connectLikeVirtioUser(1);
            try (NetDriver net = new NetDriver(frontend, memory, NetOptions.defaults())) {
                net.postReceiveBuffers();
                frontend.startLikeVirtioUser(memory, net.vrings());
                for (int i = 0; i < 2; i++) {
                    net.transmit(new byte[77]);
                    assertEquals(77, net.receive().length);
                    net.awaitTransmitted();
                    frontend.reconnectLikeVirtioUser(memory, net.vrings());
                    net.postReceiveBuffers();
                }
            }
            assertEquals(
                    3,
                    backend.log.stream()
                            .filter("SET_VRING_BASE 0=32768"::equals)
                            .count());
        }
    }

    static byte[] randomFrame(final Random random, final int length) {
        final byte[] frame = new byte[length];
        random.nextBytes(frame);
        return frame;
    }
}

package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.mask;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
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
                mask(30, 32, 15, 28, 29, 35));
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
                    if (!framing.needsIndirect() || Virtio.has(features, 28)) {
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

    @ParameterizedTest
    @EnumSource(Framing.class)
    void shouldReceiveIntoEveryFramingWhenMergeable(final Framing framing) throws IOException {
        final NetOptions options = NetOptions.defaults()
                .withReceiveFraming(framing)
                .withReceiveBufferSize(framing == Framing.ONE_BYTE_PER_BUFFER ? 64 : 300);
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), MODERN | mask(15), options)) {
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
    @EnumSource(LegalOddity.class)
    void shouldLoopLegalOddities(final LegalOddity oddity) throws IOException {
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 2 << 20, 2 << 20, 6 << 20);
                Frontend frontend = Frontend.client(folder.resolve("s")).want(MODERN)) {
            frontend.connectLikeQemu();
            try (NetDriver net = new NetDriver(frontend, memory, NetOptions.defaults())) {
                net.start();
                final byte[] frame = randomFrame(new Random(4), 333);
                oddity.transmit(net, frame);
                assertArrayEquals(frame, net.receive());
                net.awaitTransmitted();
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

    static byte[] randomFrame(final Random random, final int length) {
        final byte[] frame = new byte[length];
        random.nextBytes(frame);
        return frame;
    }
}

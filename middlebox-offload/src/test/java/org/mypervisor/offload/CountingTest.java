package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_MRG_RXBUF;
import static org.mypervisor.driversim.Virtio.mask;

import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;

/** Every frame is counted once where it is taken and once where it ends. */
final class CountingTest {
    private static final byte[] FRAME = new byte[60];

    @TempDir
    private Path folder;

    /** Connected and started, without a single receive buffer. */
    private interface Starved {
        void with(NetDriver starved);
    }

    private void withStarvedPort(
            final RunningBackend backend, final String port, final Rings rings, final Starved then) {
        try (GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20);
                Frontend frontend = Frontend.client(backend.socket(port)).want(rings.features())) {
            frontend.connectLikeQemu();
            try (NetDriver starved = new NetDriver(frontend, memory, rings.options())) {
                frontend.startLikeQemu(memory, starved.vrings());
                RunningBackend.await("up", () -> backend.port(port).state().equals("up"));
                then.with(starved);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDropAsDownWhileTheDestinationIsNotConnected(final Rings rings) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a -> b");
                NetDriver a = backend.guest("a", rings.features(), rings.options())) {
            a.transmit(FRAME);
            a.awaitTransmitted();
            assertEquals(1, backend.port("b").drops().get("down"));
            assertEquals(1, backend.path("a -> b").packets());
            assertEquals("down", backend.port("b").state());
            assertEquals("up", backend.port("a").state());
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDrainAPortThatIsTheSourceOfNoPath(final Rings rings) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a -> b");
                NetDriver b = backend.guest("b", rings.features(), rings.options())) {
            for (int i = 0; i < 1000; i++) {
                b.transmit(FRAME);
            }
            b.awaitTransmitted();
            assertEquals(1000, backend.port("b").drops().get("no_path"));
            assertEquals(1000, backend.port("b").received().packets());
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldKeepTheFrameForABufferThatComesInTime(final Rings rings) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b,wait=5000"), "a -> b");
                NetDriver a = backend.guest("a", rings.features(), rings.options())) {
            withStarvedPort(backend, "b", rings, b -> {
                a.transmit(FRAME);
                b.expectNoFrame(Duration.ofMillis(50));
                assertEquals(0, backend.port("a").received().packets(), "a waiting frame is not taken yet");
                b.postReceiveBuffers();
                assertEquals(FRAME.length, b.receive().length);
                assertEquals(0, backend.port("b").drops().get("no_buffer"));
            });
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDropAfterTheWaitAndThenAtOnceUntilABufferAppears(final Rings rings) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b,wait=200"), "a -> b");
                NetDriver a = backend.guest("a", rings.features(), rings.options())) {
            withStarvedPort(backend, "b", rings, b -> {
                final long before = System.nanoTime();
                for (int i = 0; i < 100; i++) {
                    a.transmit(FRAME);
                }
                a.awaitTransmitted();
                final long millis = (System.nanoTime() - before) / 1_000_000;
                assertTrue(millis >= 200 && millis < 400, "one wait for all of them, not one each: " + millis + " ms");
                assertEquals(100, backend.port("b").drops().get("no_buffer"));
                b.postReceiveBuffers();
                a.transmit(FRAME);
                assertEquals(FRAME.length, b.receive().length);
            });
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDropAsTooBigWhatNoBufferCanHold(final Rings rings) {
        final NetOptions small = NetOptions.defaults().withReceiveBufferSize(100);
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a -> b");
                NetDriver a = backend.guest("a", rings.features(), rings.options());
                NetDriver b = backend.guest("b", rings.features() & ~mask(VIRTIO_NET_F_MRG_RXBUF), small)) {
            a.transmit(new byte[200]);
            a.transmit(new byte[88]);
            assertEquals(88, b.receive().length);
            assertEquals(1, backend.port("b").drops().get("too_big"));
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDropAsTooBigWhatNotEvenAFullRingOfMergedBuffersCanHold_7331005c16d(final Rings rings) {
        final NetOptions small = NetOptions.defaults().withReceiveBufferSize(16).withQueueSize(4);
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a -> b");
                NetDriver a = backend.guest("a", rings.features(), rings.options());
                NetDriver b = backend.guest("b", rings.features(), small)) {
            a.transmit(new byte[4 * 16 - 12 + 1]);
            a.transmit(new byte[4 * 16 - 12]);
            assertEquals(4 * 16 - 12, b.receive().length);
            assertEquals(1, backend.port("b").drops().get("too_big"));
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDiscardWhatADisabledTransmitqSends(final Rings rings) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a -> b");
                NetDriver a = backend.guest("a", rings.features(), rings.options());
                NetDriver b = backend.guest("b", rings.features(), rings.options())) {
            a.frontend().setVringEnable(1, false);
            RunningBackend.await("down", () -> backend.port("a").state().equals("down"));
            a.transmit(FRAME);
            a.awaitTransmitted();
            b.expectNoFrame(Duration.ofMillis(20));
            assertEquals(1, backend.port("a").drops().get("disabled"));
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldAnnounceAGuestOnItsPathEvenBeforeItsRingsStart(final Rings rings) {
        final byte[] mac = {0x52, 0x54, 0, 1, 2, 3};
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("a", "b"), "a -> b");
                Frontend a = Frontend.client(backend.socket("a")).want(rings.features());
                NetDriver b = backend.guest("b", rings.features(), rings.options())) {
            a.connectLikeQemu();
            a.sendRarp(mac);
            final byte[] rarp = b.receive();
            assertEquals(60, rarp.length);
            assertEquals(
                    "ffffffffffff5254000102038035000108000604000352540001020300000000525400010203" + "00000000"
                            + "0".repeat(36),
                    HexFormat.of().formatHex(rarp));
            assertEquals(1, backend.path("a -> b").packets());
        }
    }
}

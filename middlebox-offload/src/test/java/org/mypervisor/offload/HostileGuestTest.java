package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_INDIRECT_DESC;
import static org.mypervisor.driversim.Virtio.mask;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.HostileDriver;
import org.mypervisor.driversim.HostileRing;
import org.mypervisor.driversim.NetDriver;

/** A hostile guest costs its own port only: traffic between two others on the same worker loses nothing. */
final class HostileGuestTest {
    private static final byte[] FRAME = new byte[60];

    @TempDir
    private Path folder;

    private byte[] next;

    @BeforeEach
    void begin() {
        next = new byte[60];
    }

    /** Frames cross both ways, none lost, whatever else goes on. */
    private void exchange(final NetDriver c, final NetDriver d) {
        for (int i = 0; i < 20; i++) {
            next[20]++;
            c.transmit(next);
            assertArrayEquals(next, d.receive());
            d.transmit(next);
            assertArrayEquals(next, c.receive());
        }
    }

    private RunningBackend start() {
        // The count elements put all four ports in use; ports a, b and c, d share the only worker.
        return RunningBackend.withPaths(folder, false, List.of("a", "b", "c", "d"), "a <-> b", "c <-> count <-> d");
    }

    @ParameterizedTest
    @EnumSource
    void shouldReturnBadChainsAndGiveUpBadRingsOfATransmitq(final Rings rings) {
        for (final long features : new long[] {rings.features(), rings.features() & ~mask(VIRTIO_F_INDIRECT_DESC)}) {
            try (RunningBackend backend = start();
                    NetDriver a = backend.guest("a", features, rings.options());
                    NetDriver b = backend.guest("b", rings.features(), rings.options());
                    NetDriver c = backend.guest("c", rings.features(), rings.options());
                    NetDriver d = backend.guest("d", rings.features(), rings.options())) {
                final HostileDriver hostile = HostileDriver.onTransmitq(a);
                for (final HostileRing entry : hostile.entries()) {
                    hostile.expect(entry);
                    exchange(c, d);
                    b.expectNoFrame(Duration.ofMillis(2));
                    if (entry.outcome() != HostileRing.Outcome.BAD_CHAIN) {
                        assertEquals("broken", backend.port("a").state(), entry.name());
                        a.stop();
                        a.reset();
                        a.start();
                    }
                    a.transmit(FRAME);
                    assertArrayEquals(FRAME, b.receive(), () -> "after " + entry);
                    a.awaitTransmitted();
                }
                assertTrue(backend.port("a").faults().values().stream()
                                .mapToLong(n -> n)
                                .sum()
                        > 10);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldReturnBadChainsAndGiveUpBadRingsOfAReceiveq(final Rings rings) {
        for (final HostileRing entry : HostileRing.values()) {
            if (!entry.applies(rings.features(), true)) {
                continue;
            }
            try (RunningBackend backend = start();
                    NetDriver a = backend.guest("a", rings.features(), rings.options());
                    NetDriver c = backend.guest("c", rings.features(), rings.options());
                    NetDriver d = backend.guest("d", rings.features(), rings.options());
                    GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20);
                    Frontend frontend = Frontend.client(backend.socket("b")).want(rings.features())) {
                frontend.connectLikeQemu();
                try (NetDriver b = new NetDriver(frontend, memory, rings.options())) {
                    frontend.startLikeQemu(memory, b.vrings());
                    RunningBackend.await(
                            "b is up", () -> backend.port("b").state().equals("up"));
                    final HostileDriver hostile = HostileDriver.onReceiveq(b);
                    hostile.inject(entry);
                    a.transmit(FRAME);
                    hostile.check(entry);
                    a.awaitTransmitted();
                    exchange(c, d);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldBreakOnlyThePortWhoseMemoryFileIsCutShortUnderLoad(final Rings rings) {
        try (RunningBackend backend = start();
                NetDriver b = backend.guest("b", rings.features(), rings.options());
                NetDriver c = backend.guest("c", rings.features(), rings.options());
                NetDriver d = backend.guest("d", rings.features(), rings.options());
                GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20);
                Frontend frontend = Frontend.client(backend.socket("a")).want(rings.features())) {
            frontend.connectLikeQemu();
            try (NetDriver a = new NetDriver(frontend, memory, rings.options())) {
                a.start();
                a.transmit(FRAME);
                assertArrayEquals(FRAME, b.receive());
                a.transmit(FRAME);
                memory.truncate(4096);
                for (int i = 0; i < 20; i++) {
                    exchange(c, d);
                    b.transmit(FRAME);
                }
                RunningBackend.await("broken", () -> backend.port("a").state().equals("broken"));
                assertEquals("up", backend.port("b").state());
                exchange(c, d);
                b.transmit(FRAME);
                b.awaitTransmitted();
                assertTrue(backend.port("a").drops().get("down") > 0);
            }
        }
    }
}

package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.mask;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every entry of {@link HostileRing} has its outcome with the reference device, in both kinds of queue. */
@SuppressWarnings("try") // The back-end works by being there.
final class HostileDriverTest {
    @TempDir
    private Path folder;

    @Test
    void shouldSeeTheOutcomeOfEveryEntryInATransmitq() throws IOException {
        final Set<HostileRing> seen = EnumSet.noneOf(HostileRing.class);
        for (final long features :
                new long[] {mask(30, 32), mask(30, 32, 15, 28, 29), mask(30, 32, 34), mask(30, 32, 15, 28, 29, 34)}) {
            // A packed ring may have any size.
            final NetOptions options = NetOptions.defaults().withQueueSize(Virtio.has(features, 34) ? 117 : 256);
            try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                    NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), features, options)) {
                final HostileDriver hostile = HostileDriver.onTransmitq(net);
                for (final HostileRing entry : hostile.entries()) {
                    seen.add(entry);
                    hostile.expect(entry);
                    if (entry.outcome() != HostileRing.Outcome.BAD_CHAIN) {
                        net.stop();
                        net.reset();
                        net.start();
                    }
                    net.expectNoFrame(Duration.ofMillis(5));
                    net.transmit(new byte[60]);
                    assertEquals(60, net.receive().length, entry.name());
                    net.awaitTransmitted();
                }
            }
        }
        assertEquals(EnumSet.allOf(HostileRing.class), seen);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldSeeTheOutcomeOfEveryEntryInAReceiveq(final boolean packed) throws IOException {
        final long features = mask(30, 32, 15, 28, 29) | (packed ? mask(34) : 0);
        for (final HostileRing entry : HostileRing.values()) {
            if (!entry.applies(features, true)) {
                continue;
            }
            try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                    GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20);
                    Frontend frontend = Frontend.client(folder.resolve("s")).want(features)) {
                frontend.connectLikeQemu();
                try (NetDriver net = new NetDriver(frontend, memory, NetOptions.defaults())) {
                    frontend.startLikeQemu(memory, net.vrings());
                    final HostileDriver hostile = HostileDriver.onReceiveq(net);
                    assertTrue(hostile.entries().contains(entry));
                    hostile.expect(entry);
                    if (entry.outcome() == HostileRing.Outcome.BAD_CHAIN) {
                        net.postReceiveBuffers();
                        net.transmit(new byte[] {1, 2, 3});
                        assertArrayEquals(new byte[] {1, 2, 3}, net.receive());
                    }
                }
            }
        }
    }
}

package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.HOST_OFFLOADS;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_MRG_RXBUF;
import static org.mypervisor.driversim.Virtio.mask;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.Framing;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.NetPump;
import org.mypervisor.offload.gso.Flow;

/** A frame becomes more segments than there are buffers, or than others should wait for. */
@Timeout(60)
final class SegmentationPressureTest {
    private static final int GSO_SIZE = 1000;
    private static final NetOptions LONG_FRAMES =
            NetOptions.defaults().withQueueSize(64).withTransmitBufferSize(70_000);

    @TempDir
    private Path folder;

    private RunningBackend start(final String... ports) {
        return RunningBackend.withPaths(folder, false, List.of(ports), "a -> b");
    }

    private static byte[] segment(final Flow flow, final byte[] payload, final int index) {
        final int from = index * GSO_SIZE;
        final int count = (payload.length + GSO_SIZE - 1) / GSO_SIZE;
        return flow.segment(
                Arrays.copyOfRange(payload, from, Math.min(payload.length, from + GSO_SIZE)), index, count, from);
    }

    @ParameterizedTest
    @CsvSource({"4, SPLIT", "8, SPLIT", "5, PACKED", "7, PACKED"})
    void shouldDeliverEverySegmentOnceWhenBuffersComeSlowly(final int queueSize, final Rings rings) {
        final Random random = new Random(queueSize);
        try (RunningBackend backend = start("a", "b,wait=10000");
                NetDriver a = backend.guest("a", rings.features() | HOST_OFFLOADS, LONG_FRAMES);
                NetDriver b = backend.guest(
                        "b", rings.features(), NetOptions.defaults().withQueueSize(queueSize))) {
            for (int round = 0; round < 4; round++) {
                final Flow flow = new Flow(random, round % 2 == 0, round < 3, round % 3, 0);
                final byte[] payload = Flow.bytes(random, 30_000 + random.nextInt(30_000));
                a.transmit(NetHdr.gso(flow, GSO_SIZE), flow.forDevice(payload), Framing.ONE_BUFFER);
                a.transmit(flow.whole(new byte[100]));
                for (int i = 0; i * GSO_SIZE < payload.length; i++) {
                    if (i % queueSize == 0) {
                        LockSupport.parkNanos(1_000_000);
                    }
                    assertArrayEquals(segment(flow, payload, i), b.receive(), "segment " + i);
                }
                assertArrayEquals(flow.whole(new byte[100]), b.receive());
                a.awaitTransmitted();
                assertEquals(2 * (round + 1), backend.port("b").sent().packets());
            }
            b.expectNoFrame(Duration.ofMillis(5));
            assertEquals(8, backend.port("a").received().packets());
            assertEquals(0, backend.port("b").drops().get("no_buffer"));
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldDropAFrameOnceWhenItsSegmentsFindNoBuffers(final Rings rings) {
        final int queueSize = 4;
        try (RunningBackend backend = start("a", "b,wait=0");
                NetDriver a = backend.guest("a", rings.features() | HOST_OFFLOADS, LONG_FRAMES);
                NetDriver b = backend.guest(
                        "b", rings.features(), NetOptions.defaults().withQueueSize(queueSize))) {
            final Flow flow = new Flow(new Random(1), false, true, 0, 0);
            final byte[] payload = Flow.bytes(new Random(2), 20 * GSO_SIZE);
            for (int frames = 1; frames <= 10; frames++) {
                a.transmit(NetHdr.gso(flow, GSO_SIZE), flow.forDevice(payload), Framing.ONE_BUFFER);
                a.awaitTransmitted();
                assertEquals(frames, backend.port("b").drops().get("no_buffer"));
                assertEquals(frames, backend.port("a").received().packets());
                assertEquals(0, backend.port("b").sent().packets());
                for (int i = 0; i < queueSize; i++) {
                    assertArrayEquals(segment(flow, payload, i), b.receive(), "segment " + i);
                }
                b.expectNoFrame(Duration.ZERO);
            }
        }
    }

    /** Counted in turns of the worker, in each of which every wire has its own: that is the same on any machine. */
    @ParameterizedTest
    @EnumSource
    void shouldLetOthersHaveTheirTurnsWhileLongFramesAreCut(final Rings rings) {
        final int frames = 32;
        final int segments = 1000;
        final int segmentsPerTurn = 64;
        final int gsoSize = 60;
        final NetOptions roomForAll = new NetOptions(32_768, 256, 256, Framing.ONE_BUFFER);
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                NetDriver a = backend.guest("a", rings.features() | HOST_OFFLOADS, LONG_FRAMES);
                NetDriver b = backend.guest("b", rings.features() & ~mask(VIRTIO_NET_F_MRG_RXBUF), roomForAll);
                Bystanders bystanders = new Bystanders(backend, rings)) {
            final Flow flow = new Flow(new Random(1), false, true, 0, 0);
            final NetPump source =
                    new NetPump(a, NetHdr.gso(flow, gsoSize), flow.forDevice(new byte[segments * gsoSize]));
            final NetPump sink = new NetPump(b, new byte[60]);
            for (long all = frames * segments; all <= 20L * frames * segments; all += frames * segments) {
                final long before = backend.stats().workers().get(0).bursts();
                source.transmitBurst(frames);
                final long target = all;
                RunningBackend.await("segments", () -> {
                    sink.receiveBurst(Integer.MAX_VALUE);
                    return sink.received() == target;
                });
                final long turns = backend.stats().workers().get(0).bursts() - before;
                assertTrue(turns >= frames * segments / segmentsPerTurn / 2, "only " + turns + " turns");
            }
            bystanders.awaitMore();
            assertEquals(20 * frames, backend.port("b").sent().packets());
        }
    }
}

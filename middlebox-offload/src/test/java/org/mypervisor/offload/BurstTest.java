package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU_PACKED;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.ReceivedFrame;
import org.mypervisor.driversim.Region;
import org.mypervisor.virtqueue.BufferBurst;

/** Frames that go many at once arrive unchanged and in order, however long the rings are beside a burst. */
@Timeout(60)
final class BurstTest {
    private static final int FRAMES = 2_000;
    private static final int SHORT_BYTES = 60;
    private static final int LONG_BYTES = 1_514;
    private static final long MOST_NANOS = 20_000_000_000L;
    private static final int MOST = BufferBurst.MOST;

    @TempDir
    private Path folder;

    static Stream<Arguments> sizes() {
        return Stream.concat(
                IntStream.of(1, 2, MOST / 2 - 1, MOST - 1, MOST, MOST + 1, 2 * MOST - 1, 3 * MOST + 1)
                        .boxed()
                        .flatMap(size -> pairs(LIKE_QEMU_PACKED, size, MOST + 1)),
                IntStream.of(1, 2, MOST / 2, MOST, 2 * MOST, 4 * MOST)
                        .boxed()
                        .flatMap(size -> pairs(LIKE_QEMU, size, 2 * MOST)));
    }

    /** Of a size with itself and, both ways, with another one. */
    private static Stream<Arguments> pairs(final long features, final int size, final int other) {
        return Stream.of(
                Arguments.of(features, size, size),
                Arguments.of(features, size, other),
                Arguments.of(features, other, size));
    }

    @ParameterizedTest(name = "features {0}, from {1} to {2} entries")
    @MethodSource("sizes")
    void shouldPassBetweenRingsOfAnySize(final long features, final int fromSize, final int toSize) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, true, List.of("a", "b"), "a <-> b");
                NetDriver a = backend.guest("a", features, NetOptions.defaults().withQueueSize(fromSize));
                NetDriver b = backend.guest("b", features, NetOptions.defaults().withQueueSize(toSize))) {
            int sent = 0;
            int arrived = 0;
            final long deadline = System.nanoTime() + MOST_NANOS;
            while (arrived < FRAMES) {
                assertTrue(System.nanoTime() < deadline, sent + " frames sent, " + arrived + " arrived");
                // As many as there are receive buffers: none is to wait for one.
                sent += send(a, sent, Math.min(FRAMES - sent, toSize - (sent - arrived)));
                for (ReceivedFrame got = b.pollFrame(); got != null; got = b.pollFrame()) {
                    assertArrayEquals(frame(arrived), got.frame());
                    arrived++;
                }
            }
            assertEquals(FRAMES, backend.port("b").sent().packets());
        }
    }

    static LongStream features() {
        return LongStream.of(LIKE_QEMU, LIKE_QEMU_PACKED);
    }

    /** Nothing behind a frame may be touched. The one without a byte behind its header is dropped. */
    @ParameterizedTest(name = "features {0}")
    @MethodSource("features")
    void shouldTakeFramesThatEndWhereMemoryDoes(final long features) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, true, List.of("a", "b"), "a <-> b");
                NetDriver a = backend.guest("a", features, NetOptions.defaults());
                NetDriver b = backend.guest("b", features, NetOptions.defaults())) {
            final List<Region> regions = a.memory().regions();
            final long end = regions.get(regions.size() - 1).endGpa();
            a.memory().fill(end - a.headerSize() - LONG_BYTES, a.headerSize() + LONG_BYTES, 0);
            final int[] lengths = {LONG_BYTES, LONG_BYTES, SHORT_BYTES, 1, 0, 1};
            for (final int length : lengths) {
                a.transmitq().addOne(end - a.headerSize() - length, a.headerSize() + length, false);
            }
            a.transmitq().publishAndKick();
            for (final int length : lengths) {
                if (length > 0) {
                    assertArrayEquals(new byte[length], b.receive());
                }
            }
        }
    }

    private static int send(final NetDriver from, final int first, final int most) {
        final DriverQueue transmitq = from.transmitq();
        while (transmitq.nextUsed()) {
            // Its descriptor is free again.
        }
        int count = 0;
        for (; count < most && transmitq.freeDescriptors() > 0; count++) {
            final long gpa = from.transmitBufferGpa(transmitq.nextHead());
            final byte[] frame = frame(first + count);
            from.memory().write(gpa, new byte[from.headerSize()]);
            from.memory().write(gpa + from.headerSize(), frame);
            transmitq.addOne(gpa, from.headerSize() + frame.length, false);
        }
        if (count > 0) {
            transmitq.publishAndKick();
        }
        return count;
    }

    /** Two short ones, then two long ones, with the number at both ends. */
    private static byte[] frame(final int number) {
        final int bytes = (number & 2) == 0 ? SHORT_BYTES : LONG_BYTES;
        return ByteBuffer.allocate(bytes)
                .putInt(20, number)
                .putInt(bytes - Integer.BYTES, number)
                .array();
    }
}

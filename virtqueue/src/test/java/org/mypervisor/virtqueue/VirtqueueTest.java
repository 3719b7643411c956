package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.mypervisor.driversim.UsedElement;

/** Taking, completing and publishing, the same for both formats. */
class VirtqueueTest {
    private static final int[] PACKED_SIZES = {3, 5, 7, 33, 100, 255, 1000, 32767};

    private static Stream<Arguments> sizesAndFeatures() {
        return Stream.of(RingFeatures.values()).flatMap(features -> IntStream.concat(
                        IntStream.rangeClosed(0, 15).map(shift -> 1 << shift),
                        IntStream.of(features.packed() ? PACKED_SIZES : new int[0]))
                .mapToObj(size -> Arguments.of(size, features)));
    }

    @ParameterizedTest
    @MethodSource("sizesAndFeatures")
    void shouldGoThroughFullRingMoreThanOnce(final int size, final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(size, features)) {
            final int laps = size <= 1024 ? 3 : 2;
            for (int lap = 0; lap < laps; lap++) {
                for (int i = 0; i < size; i++) {
                    ring.driver.addOne(ring.buffer + i % 64, 64, true);
                }
                ring.driver.publish();
                assertTrue(ring.device.available(VringLayout.MAX_SIZE) > 0);
                assertEquals(size, ring.consume(17));
                for (int i = 0; i < size; i++) {
                    assertEquals(17, ring.driver.pollUsed().length());
                }
                assertNull(ring.driver.pollUsed());
            }
            assertEquals(ring.baseAfter((long) laps * size, (long) laps * size), ring.device.base());
            assertNull(ring.device.fault());
        }
    }

    /** Chains of every length up to the ring's cross the end of the ring at every place. */
    @ParameterizedTest
    @EnumSource
    void shouldFollowChainsOverTheEndOfTheRing(final RingFeatures features) {
        for (final int size : features.packed() ? new int[] {1, 3, 5, 7, 8, 33} : new int[] {1, 2, 8, 32}) {
            try (TestRing ring = TestRing.transmitq(size, features)) {
                for (int i = 0; i < size; i++) {
                    ring.memory.write(ring.buffer + i, new byte[] {(byte) i});
                }
                long chains = 0;
                long descriptors = 0;
                for (int lap = 0; lap < 3 * size; lap++) {
                    final int length = 1 + lap % size;
                    final long[] buffers = new long[2 * length];
                    for (int i = 0; i < length; i++) {
                        buffers[2 * i] = ring.buffer + i;
                        buffers[2 * i + 1] = 1;
                    }
                    final int head = ring.offer(buffers);
                    assertNull(ring.load());
                    assertArrayEquals(ring.memory.read(ring.buffer, length), TestRing.bytes(ring.chain()));
                    assertEquals(1, ring.consume(0));
                    assertEquals(new UsedElement(head, 0), ring.driver.pollUsed());
                    chains++;
                    descriptors += length;
                    assertEquals(ring.baseAfter(chains, descriptors), ring.device.base());
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldReturnHeadAndLengthInOrder(final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(8, features)) {
            final int first = ring.offer(ring.buffer, 100, ring.buffer + 4096, 50);
            final int second = ring.offer(ring.buffer + 8192, 200);
            ring.completeNext(150);
            ring.completeNext(1);
            assertTrue(ring.device.hasUnpublished());
            ring.device.publish();
            assertEquals(new UsedElement(first, 150), ring.driver.pollUsed());
            assertEquals(new UsedElement(second, 1), ring.driver.pollUsed());
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldNotShowUsedElementsBeforePublish(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            for (int lap = 1; lap < 20; lap++) {
                ring.offer(ring.buffer, 100);
                ring.offer(ring.buffer, 100);
                ring.completeNext(0);
                ring.completeNext(0);
                assertEquals(0, ring.driver.usedWaiting());
                assertTrue(ring.device.hasUnpublished());
                assertEquals(
                        0, ring.device.available(VringLayout.MAX_SIZE), "what is completed is not there once more");
                ring.device.publish();
                assertEquals(2, ring.driver.usedWaiting());
                assertFalse(ring.device.hasUnpublished(), "nothing new to publish");
                assertTrue(ring.driver.nextUsed() && ring.driver.nextUsed());
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldLeaveNoTraceWhenChainsAreOnlyLookedAt(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.offer(ring.buffer, 100);
            ring.offer(ring.buffer, 200, ring.buffer + 200, 50);
            assertNull(ring.load());
            assertTrue(ring.device.available(VringLayout.MAX_SIZE) > 0);
            assertNull(ring.append());
            assertFalse(ring.appendIfAvailable(), "there are two");
            assertNull(ring.device.appendFault());
            assertEquals(1, ring.chain().pieces(), "looks at the first chain again");
            assertFalse(ring.device.hasUnpublished());
            assertEquals(
                    ring.baseAfter(0, 0),
                    ring.device.base(),
                    "GET_VRING_BASE tells what was completed, not what was seen");
            ring.restart();
            assertEquals(2, ring.consume(0));
            assertEquals(ring.baseAfter(2, 3), ring.device.base());
        }
    }

    /** Some of the chains looked at are completed; the others are there again, however often they were looked at. */
    @ParameterizedTest
    @EnumSource
    void shouldGoBackToTheFirstChainThatIsNotCompleted(final RingFeatures features) {
        for (final int size : features.packed() ? new int[] {5, 8} : new int[] {8}) {
            try (TestRing ring = TestRing.receiveq(size, features)) {
                for (int lap = 0; lap < 30; lap++) {
                    final List<Integer> heads = new ArrayList<>();
                    for (int i = 0; i < 5; i++) {
                        heads.add(ring.offer(ring.buffer + i, i + 1));
                    }
                    ring.newChain();
                    for (int i = 0; i < 5; i++) {
                        assertNull(ring.append());
                    }
                    ring.complete(1);
                    ring.complete(1);
                    assertEquals(3, ring.chain().bytes(), "the third");
                    ring.complete(1);
                    ring.device.publish();
                    assertEquals(4, ring.chain().bytes());
                    assertEquals(2, ring.consume(1));
                    for (final int head : heads) {
                        assertEquals(new UsedElement(head, 1), ring.driver.pollUsed());
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldLeaveBrokenRingAlone(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.device.breakRing(RingFault.MEMORY_GONE);
            ring.offer(ring.buffer, 100);
            final byte[] desc = ring.memory.read(ring.layout.descGpa(), 16 * 8);
            final byte[] used = ring.memory.read(ring.layout.usedGpa(), 4);
            assertEquals(0, ring.device.available(VringLayout.MAX_SIZE));
            assertFalse(ring.device.enableKicks());
            ring.device.suppressKicks();
            ring.newChain();
            assertFalse(ring.appendIfAvailable());
            assertFalse(ring.device.hasUnpublished());
            assertEquals(RingFault.MEMORY_GONE, ring.device.fault());
            assertArrayEquals(desc, ring.memory.read(ring.layout.descGpa(), 16 * 8));
            assertArrayEquals(used, ring.memory.read(ring.layout.usedGpa(), 4));
            ring.restart();
            assertNull(ring.device.fault(), "a start makes it whole again");
            assertEquals(1, ring.consume(0));
        }
    }
}

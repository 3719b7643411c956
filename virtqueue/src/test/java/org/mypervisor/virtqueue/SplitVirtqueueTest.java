package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What only split rings have: free-running indices, resuming at them, and avail.idx that cannot be. */
class SplitVirtqueueTest {
    private static Stream<Arguments> sizesAndFeatures() {
        return IntStream.rangeClosed(0, 15).boxed().flatMap(shift -> Stream.of(RingFeatures.values())
                .filter(f -> !f.packed())
                .map(f -> Arguments.of(1 << shift, f)));
    }

    /** virtio 1.2 §2.7.6: "idx … starts at 0, and increases", free-running in 16 bits. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_SPLIT)
    void shouldKeepPaceWhenIndicesWrap(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(64, features)) {
            for (int total = 0; total < 70_000; ) {
                final int burst = 1 + total % 64;
                for (int i = 0; i < burst; i++) {
                    ring.driver.addOne(ring.buffer, 64, false);
                }
                ring.driver.publish();
                assertEquals(burst, ring.consume(0));
                total += burst;
                for (int i = 0; i < burst; i++) {
                    assertTrue(ring.driver.nextUsed());
                }
                assertEquals(total & 0xFFFF, ring.device.base());
            }
        }
    }

    /** Everything before used.idx was completed, nothing behind it was: also after a crash of a former process. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 7, 8, 0x7FFF, 0x8000, 0xFFFF})
    void shouldResumeAtUsedIdx(final int usedIdx) {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.EVENT_IDX)) {
            ring.setIndices(usedIdx);
            assertEquals(usedIdx, ring.device.base());
            assertEquals(0, ring.device.available(VringLayout.MAX_SIZE));
            ring.ring().writeAvailEntry(usedIdx, 5);
            ring.ring().writeAvailIdx(usedIdx + 1 & 0xFFFF);
            assertEquals(1, ring.device.available(VringLayout.MAX_SIZE));
            ring.ring().writeDescriptor(5, ring.buffer, 100, 0, 0);
            ring.completeNext(77);
            ring.device.publish();
            assertEquals(usedIdx + 1 & 0xFFFF, ring.ring().usedIdx());
            assertEquals(5, ring.ring().usedId(usedIdx));
            assertEquals(77, ring.ring().usedLength(usedIdx));
        }
    }

    @Test
    void shouldNotReadItsOwnIndexBackWhileRunning() {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PLAIN)) {
            ring.offer(ring.buffer, 100);
            ring.memory.putLe16(ring.layout.usedGpa() + 2, 0x4321);
            assertEquals(1, ring.device.available(VringLayout.MAX_SIZE));
            ring.completeNext(0);
            ring.device.publish();
            assertEquals(1, ring.ring().usedIdx());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 8, 256, 32768})
    void shouldTakeAvailIdxThatIsAWholeRingAhead(final int size) {
        try (TestRing ring = TestRing.transmitq(size, RingFeatures.PLAIN)) {
            ring.setIndices(0xFFFE);
            ring.ring().writeAvailIdx(0xFFFE + size & 0xFFFF);
            assertEquals(size, ring.device.available(VringLayout.MAX_SIZE));
            assertNull(ring.device.fault());
        }
    }

    /** 38e6400387: an index from the driver is judged as a distance of 16 bits. */
    @ParameterizedTest
    @MethodSource("sizesAndFeatures")
    void shouldBreakRingWhenAvailIdxJumps(final int size, final RingFeatures features) {
        for (final int jump : new int[] {size + 1, 0xFFFF, 0x8001}) {
            if (jump <= size) {
                continue;
            }
            try (TestRing ring = TestRing.transmitq(size, features)) {
                ring.setIndices(0xFFF0);
                ring.ring().writeAvailIdx(0xFFF0 + jump & 0xFFFF);
                assertEquals(0, ring.device.available(VringLayout.MAX_SIZE));
                assertEquals(RingFault.AVAIL_IDX_JUMP, ring.device.fault(), "jump of " + jump);
            }
        }
    }

    @Test
    void shouldSeeJumpAlsoWhileChainsAreKnown() {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PLAIN)) {
            ring.offer(ring.buffer, 100);
            assertEquals(1, ring.device.available(VringLayout.MAX_SIZE));
            ring.ring().writeAvailIdx(9);
            assertEquals(1, ring.device.available(1), "as many as are known do not need another look at avail.idx");
            assertFalse(ring.device.enableKicks());
            assertEquals(RingFault.AVAIL_IDX_JUMP, ring.device.fault());
        }
    }

    /** 5d9dc18e1b: all of a ring must be mapped, not only its beginning. virtio 1.2 §2.7 for sizes and alignments. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_SPLIT)
    void shouldRefuseRingThatLeavesSharedMemory(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(256, features)) {
            final VringLayout good = ring.vringLayout();
            final long uvaOfEnd = ring.memory.uvaOf(TestRing.HOLE - 16) + 16;
            final int event = features.eventIdx() ? 2 : 0;
            assertRefused(ring, "desc", uvaOfEnd - 4096 + 16, good.availUva(), good.usedUva());
            assertRefused(ring, "avail", good.descUva(), uvaOfEnd - 516 - event + 2, good.usedUva());
            assertRefused(ring, "used", good.descUva(), good.availUva(), uvaOfEnd - 2052 - event + 4 & ~3L);
            assertRefused(ring, "desc", 0, good.availUva(), good.usedUva());
            assertRefused(ring, "avail", good.descUva(), -16, good.usedUva());
            // The very end is still good.
            build(ring, uvaOfEnd - 4096, uvaOfEnd - 516 - event, good.usedUva());
            build(ring, good.descUva(), good.availUva(), uvaOfEnd - 2056);
        }
    }

    @Test
    void shouldRefuseMisalignedRing() {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PLAIN)) {
            final VringLayout good = ring.vringLayout();
            assertRefused(ring, "desc", good.descUva() + 8, good.availUva(), good.usedUva());
            assertRefused(ring, "avail", good.descUva(), good.availUva() + 1, good.usedUva());
            assertRefused(ring, "used", good.descUva(), good.availUva(), good.usedUva() + 2);
        }
    }

    @Test
    void shouldTakeRingAddressesAsFrontEndVirtual() {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PLAIN)) {
            assertRefused(ring, "desc", ring.layout.descGpa(), ring.layout.availGpa(), ring.layout.usedGpa());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3, -8, 65536})
    void shouldRefuseSize(final int size) {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PLAIN)) {
            final VringLayout good = ring.vringLayout();
            final VringLayout bad =
                    new VringLayout(size, good.descUva(), good.availUva(), good.usedUva(), false, 0, 0, false);
            assertThrows(IllegalArgumentException.class, () -> Virtqueue.of(ring.mapping.memory(), bad));
        }
    }

    private static void assertRefused(
            final TestRing ring, final String part, final long desc, final long avail, final long used) {
        final Exception refused = assertThrows(
                IllegalArgumentException.class, () -> build(ring, desc, avail, used), () -> "%s 0x%x 0x%x 0x%x"
                        .formatted(part, desc, avail, used));
        assertTrue(refused.getMessage().startsWith(part), refused.getMessage());
    }

    private static Virtqueue build(final TestRing ring, final long desc, final long avail, final long used) {
        return Virtqueue.of(
                ring.mapping.memory(),
                new VringLayout(ring.layout.size(), desc, avail, used, false, ring.features.mask, 0, false));
    }
}

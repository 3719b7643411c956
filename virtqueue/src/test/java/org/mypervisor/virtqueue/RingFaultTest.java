package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Wrong structure of split rings: heads, links, loops and tables that cost the ring until it is set up again. */
class RingFaultTest {
    private static final int NEXT = 1;
    private static final int WRITE = 2;
    private static final int INDIRECT = 4;

    /** Runs a scenario on both kinds of ring; it writes descriptor 0 and what belongs to it. */
    private static void assertBreaksRing(
            final RingFault expected, final int size, final RingFeatures features, final Consumer<Scene> scene) {
        for (final boolean writable : new boolean[] {false, true}) {
            try (TestRing ring = writable ? TestRing.receiveq(size, features) : TestRing.transmitq(size, features)) {
                scene.accept(new Scene(ring));
                ring.split().expose(0);
                ring.driver.publish();
                assertEquals(1, ring.device.available(VringLayout.MAX_SIZE));
                final RingFault fault = assertTimeoutPreemptively(Duration.ofSeconds(5), ring::load);
                assertEquals(expected, fault);
                assertEquals(expected, ring.device.fault());
                assertTrue(fault.breaksRing());
                assertEquals(0, ring.device.available(VringLayout.MAX_SIZE), "a broken ring has nothing more to give");
                assertEquals(0, ring.ring().usedIdx());
            }
        }
    }

    /** Descriptors in the direction of the ring at hand. */
    private record Scene(TestRing ring) {
        void put(final int index, final long length, final int flags, final int next) {
            final int direction = ring.writable ? WRITE : 0;
            ring.ring().writeDescriptor(index, ring.buffer, length, flags | direction, next);
        }

        void putInTable(final int entry, final int flags, final int next) {
            final int direction = ring.writable ? WRITE : 0;
            ring.ring().writeDescriptorAt(table() + 16L * entry, ring.buffer, 16, flags | direction, next);
        }

        long table() {
            return ring.buffer + 32768;
        }

        void indirect(final long length, final int moreFlags) {
            ring.ring().writeDescriptor(0, table(), length, INDIRECT | moreFlags, 1);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 9, 0x8000, 0xFFFF})
    void shouldBreakRingWhenHeadIsOutOfRange(final int head) {
        for (final RingFeatures features : RingFeatures.values()) {
            if (features.packed()) {
                continue;
            }
            try (TestRing ring = TestRing.transmitq(8, features)) {
                ring.split().expose(head);
                ring.driver.publish();
                assertEquals(RingFault.INDEX_OUT_OF_RANGE, ring.load());
                assertEquals(RingFault.INDEX_OUT_OF_RANGE, ring.device.fault());
            }
        }
    }

    /** 4e282bc6c5: next below the size of the table it leads through. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_SPLIT)
    void shouldBreakRingWhenNextIsOutOfRange(final RingFeatures features) {
        for (final int next : new int[] {8, 0x7FFF, 0xFFFF}) {
            assertBreaksRing(RingFault.INDEX_OUT_OF_RANGE, 8, features, s -> s.put(0, 12, NEXT, next));
        }
    }

    @Test
    void shouldBreakRingWhenLargestRingsNextIsOutOfRange() {
        assertBreaksRing(RingFault.INDEX_OUT_OF_RANGE, 32768, RingFeatures.PLAIN, s -> s.put(0, 12, NEXT, 32768));
    }

    /** 450539b47e: a chain has at most as many descriptors as its table. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_SPLIT)
    void shouldBreakRingWhenChainLoops(final RingFeatures features) {
        assertBreaksRing(RingFault.CHAIN_LOOP, 8, features, s -> s.put(0, 12, NEXT, 0));
        assertBreaksRing(RingFault.CHAIN_LOOP, 1, features, s -> s.put(0, 12, NEXT, 0));
        assertBreaksRing(RingFault.CHAIN_LOOP, 32768, features, s -> s.put(0, 12, NEXT, 0));
        assertBreaksRing(RingFault.CHAIN_LOOP, 8, features, s -> {
            s.put(0, 0, NEXT, 3);
            s.put(3, 0, NEXT, 0);
        });
        assertBreaksRing(RingFault.CHAIN_LOOP, 8, features, s -> {
            for (int i = 0; i < 8; i++) {
                s.put(i, 12, NEXT, (i + 1) % 8);
            }
        });
    }

    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.MATCH_ALL,
            names = {RingFeatures.OF_SPLIT, RingFeatures.WITH_INDIRECT})
    void shouldBreakRingWhenIndirectTableLoops(final RingFeatures features) {
        assertBreaksRing(RingFault.CHAIN_LOOP, 8, features, s -> {
            s.putInTable(0, NEXT, 1);
            s.putInTable(1, NEXT, 0);
            s.indirect(32, 0);
        });
    }

    /** virtio 1.2 §2.7.5.3.1: INDIRECT must not be set in a table. */
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.MATCH_ALL,
            names = {RingFeatures.OF_SPLIT, RingFeatures.WITH_INDIRECT})
    void shouldBreakRingWhenIndirectIsNested(final RingFeatures features) {
        assertBreaksRing(RingFault.BAD_INDIRECT, 8, features, s -> {
            s.putInTable(0, NEXT, 1);
            s.putInTable(1, INDIRECT, 0);
            s.indirect(32, 0);
        });
        assertBreaksRing(RingFault.BAD_INDIRECT, 8, features, s -> {
            s.ring.ring().writeDescriptorAt(s.table(), s.table(), 16, INDIRECT, 0);
            s.indirect(16, 0);
        });
    }

    /** virtio 1.2 §2.7.5.3.1: INDIRECT and NEXT must not be set together. */
    @Test
    void shouldBreakRingWhenIndirectHasNext() {
        assertBreaksRing(RingFault.BAD_INDIRECT, 8, RingFeatures.INDIRECT, s -> {
            s.putInTable(0, 0, 0);
            s.indirect(16, NEXT);
        });
    }

    /** virtio 1.2 §2.7.5.3.2: the table's length is a multiple of 16; 4e282bc6c5 for the longest one. */
    @ParameterizedTest
    @ValueSource(longs = {0, 1, 15, 17, 40, 257 * 16, 0xFFFF_FFF0L, 0xFFFF_FFFFL, 0x8000_0000L})
    void shouldBreakRingWhenTableHasWrongLength(final long length) {
        assertBreaksRing(RingFault.BAD_INDIRECT, 8, RingFeatures.INDIRECT, s -> {
            s.putInTable(0, 0, 0);
            s.indirect(length, 0);
        });
    }

    @Test
    void shouldBreakRingWhenNextLeavesTheTable() {
        assertBreaksRing(RingFault.INDEX_OUT_OF_RANGE, 8, RingFeatures.INDIRECT, s -> {
            s.putInTable(0, NEXT, 2);
            s.putInTable(2, 0, 0);
            s.indirect(32, 0);
        });
    }

    /** virtio 1.2 §2.7.5.3.1: no INDIRECT without the feature. */
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.MATCH_ALL,
            names = {RingFeatures.OF_SPLIT, RingFeatures.WITHOUT_INDIRECT})
    void shouldBreakRingWhenIndirectWasNotNegotiated(final RingFeatures features) {
        assertBreaksRing(RingFault.BAD_INDIRECT, 8, features, s -> {
            s.putInTable(0, 0, 0);
            s.indirect(16, 0);
        });
    }

    @Test
    void shouldCountEveryFaultUnderAKeyOfItsOwn() {
        assertEquals(RingFault.COUNT, RingFault.values().length);
        for (final RingFault fault : RingFault.values()) {
            assertEquals(fault, RingFault.of(fault.ordinal()));
        }
        assertEquals("avail_idx_jump", RingFault.AVAIL_IDX_JUMP.key());
    }
}

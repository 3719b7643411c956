package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.Descriptor;

/** Contents of chains: what is legal arrives byte for byte, what is not costs the chain and only the chain. */
class DescriptorChainTest {
    private static final long BOUNDARY = TestRing.BOUNDARY;
    private static final long HOLE = TestRing.HOLE;

    private static byte[] random(final int length) {
        final byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    /** The chain costs itself: it goes back with length 0 and the next one is looked at. */
    private static void assertCostsTheChainOnly(final TestRing ring, final RingFault expected) {
        assertEquals(expected, ring.load());
        assertNull(ring.device.fault());
        ring.completeNext(0);
        ring.offer(ring.buffer, 64);
        assertNull(ring.load());
        assertEquals(64, ring.chain().bytes());
    }

    @ParameterizedTest
    @EnumSource
    void shouldFollowChainOfDescriptors(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.memory.write(ring.buffer, random(600));
            ring.offer(ring.buffer, 12, ring.buffer + 12, 1, ring.buffer + 13, 0, ring.buffer + 13, 587);
            assertNull(ring.load());
            assertEquals(3, ring.chain().pieces(), "an empty buffer is no piece");
            assertArrayEquals(random(600), TestRing.bytes(ring.chain()));
        }
    }

    /** virtio 1.2 §2.7.5.3, including a table longer than the ring, as Linux builds on short rings. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.WITH_INDIRECT)
    void shouldFollowIndirectTable(final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(8, features)) {
            final long[] buffers = new long[2 * 19];
            for (int i = 0; i < 19; i++) {
                buffers[2 * i] = ring.buffer + 100 * i;
                buffers[2 * i + 1] = i + 1;
            }
            ring.offerIndirect(buffers);
            assertNull(ring.load());
            assertEquals(19, ring.chain().pieces());
            assertEquals(190, ring.chain().bytes());
            assertEquals(19, ring.chain().pieceLength(18));
        }
    }

    /** virtio 1.2 §2.7.5.3.1: descriptors with NEXT may be followed by one with INDIRECT. */
    @Test
    void shouldFollowDescriptorsAndThenATable() {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.INDIRECT)) {
            ring.memory.write(ring.buffer, random(300));
            ring.driver.add(ring.buffers(ring.buffer, 12), ring.buffers(ring.buffer + 12, 88, ring.buffer + 100, 200));
            ring.driver.publish();
            assertNull(ring.load());
            assertArrayEquals(random(300), TestRing.bytes(ring.chain()));
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.WITH_INDIRECT)
    void shouldIgnoreWriteBesideIndirect(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            final long table = ring.driver.writeTable(0, ring.buffers(ring.buffer, 64));
            ring.driver.addRaw(List.of(new Descriptor(table, 16, 4 | 2)));
            ring.driver.publish();
            assertNull(ring.load());
            assertEquals(64, ring.chain().bytes());
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldFollowBufferIntoAdjacentRegion(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.memory.write(BOUNDARY - 100, random(300));
            ring.offer(BOUNDARY - 100, 300);
            assertNull(ring.load());
            assertEquals(2, ring.chain().pieces());
            assertEquals(100, ring.chain().pieceLength(0));
            assertEquals(200, ring.chain().pieceLength(1));
            assertArrayEquals(random(300), TestRing.bytes(ring.chain()));
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldWriteIntoAdjacentRegion(final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(8, features)) {
            ring.offer(BOUNDARY - 3, 5);
            assertNull(ring.load());
            for (int piece = 0; piece < 2; piece++) {
                for (int i = 0; i < ring.chain().pieceLength(piece); i++) {
                    RawMemory.putU8(ring.chain().pieceAddress(piece) + i, 10 * piece + i);
                }
            }
            assertArrayEquals(new byte[] {0, 0, 1, 2, 10, 11, 0}, ring.memory.read(BOUNDARY - 4, 7));
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.WITH_INDIRECT)
    void shouldFollowIndirectTableIntoAdjacentRegion(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            final long table = BOUNDARY - 32;
            final List<Descriptor> entries = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                entries.add(new Descriptor(ring.buffer + 10 * i, 10, 0));
            }
            ring.driver.writeTable(table, entries);
            ring.driver.addRaw(List.of(new Descriptor(table, 64, 4)));
            ring.driver.publish();
            ring.memory.write(ring.buffer, random(40));
            assertNull(ring.load());
            assertArrayEquals(random(40), TestRing.bytes(ring.chain()));
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldRefuseBufferThatLeavesItsRegion_CVE_2018_1059(final RingFeatures features) {
        final long[][] ranges = {
            {HOLE - 32, 33},
            {HOLE - 1, 2},
            {HOLE, 1},
            {HOLE, 60},
            {TestRing.FIRST - 1, 2},
            {0, 60},
            {-16, 60},
            {-1, 1},
            {-16, 0xFFFF_FFFFL},
            {HOLE - 32, 0xFFFF_FFFFL},
            {BOUNDARY - 1, 0xFFFF_FFFFL}
        };
        for (final long[] range : ranges) {
            try (TestRing ring = TestRing.transmitq(8, features)) {
                ring.offer(ring.buffer, 12, range[0], range[1]);
                assertCostsTheChainOnly(ring, RingFault.BUFFER_UNMAPPED);
            }
            if (features.indirect()) {
                try (TestRing ring = TestRing.receiveq(8, features)) {
                    ring.offerIndirect(range[0], range[1], ring.buffer, 12);
                    assertCostsTheChainOnly(ring, RingFault.BUFFER_UNMAPPED);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldRefuseEmptyBufferWithBadAddress_CVE_2020_10725(final RingFeatures features) {
        for (final long gpa : new long[] {HOLE, 0, -1}) {
            try (TestRing ring = TestRing.transmitq(8, features)) {
                ring.offer(gpa, 0, ring.buffer, 72);
                assertCostsTheChainOnly(ring, RingFault.BUFFER_UNMAPPED);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(longs = {HOLE, HOLE - 16, 0, -32, -1, -16})
    void shouldRefuseIndirectTableOutsideMemory(final long table) {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.INDIRECT)) {
            if (table == HOLE - 16) {
                ring.ring().writeDescriptorAt(table, ring.buffer, 10, 1, 1);
            }
            ring.driver.addRaw(List.of(new Descriptor(table, 32, 4)));
            ring.driver.publish();
            assertCostsTheChainOnly(ring, RingFault.BUFFER_UNMAPPED);
        }
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PACKED_INDIRECT)) {
            if (table == HOLE - 16) {
                ring.packedRing().writeDescriptorAt(table, new Descriptor(ring.buffer, 10, 0), 1);
            }
            ring.driver.addRaw(List.of(new Descriptor(table, 32, 4)));
            ring.driver.publish();
            assertCostsTheChainOnly(ring, RingFault.BUFFER_UNMAPPED);
        }
    }

    /** virtio 1.2 §2.7.4.2: readable buffers in a transmitq, writable ones in a receiveq. */
    @ParameterizedTest
    @EnumSource
    void shouldRefuseWrongDirection(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.driver.add(List.of(Buffer.readable(ring.buffer, 64), Buffer.writable(ring.buffer, 64)));
            ring.driver.publish();
            assertCostsTheChainOnly(ring, RingFault.WRONG_DIRECTION);
        }
        try (TestRing ring = TestRing.receiveq(8, features)) {
            ring.driver.add(List.of(Buffer.writable(ring.buffer, 64), Buffer.readable(ring.buffer, 64)));
            ring.driver.publish();
            assertCostsTheChainOnly(ring, RingFault.WRONG_DIRECTION);
        }
    }

    /** virtio 1.2 §2.7.4: no chain of more than 2^32 bytes; we stop earlier, at 2^22. */
    @ParameterizedTest
    @EnumSource
    void shouldRefuseChainOfMoreBytesThanAnyFrameHas(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(1024, features)) {
            final long[] buffers = new long[2 * 600];
            for (int i = 0; i < 600; i++) {
                buffers[2 * i] = BOUNDARY;
                buffers[2 * i + 1] = HOLE - BOUNDARY;
            }
            ring.offer(buffers);
            assertCostsTheChainOnly(ring, RingFault.CHAIN_TOO_LONG);
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.WITH_INDIRECT)
    void shouldTakeLongestChainThereCanBe(final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(1024, features)) {
            final long[] buffers = new long[2 * 1024];
            for (int i = 0; i < 1024; i++) {
                buffers[2 * i] = ring.buffer + i;
                buffers[2 * i + 1] = 1;
            }
            ring.offer(buffers);
            assertNull(ring.load());
            assertEquals(1024, ring.chain().pieces());
            ring.consume(0);
            ring.driver.nextUsed();
            ring.offerIndirect(buffers);
            assertNull(ring.load());
            assertEquals(1024, ring.chain().bytes());
        }
    }

    /** Mergeable receive buffers: several chains in one list, and a bad one takes nothing of the good ones away. */
    @ParameterizedTest
    @EnumSource
    void shouldKeepEarlierChainsWhenALaterOneIsBad(final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(8, features)) {
            ring.offer(ring.buffer, 100, ring.buffer + 200, 50);
            ring.offer(ring.buffer + 1000, 10, HOLE, 10);
            ring.offer(ring.buffer + 2000, 7);
            ring.device.available(VringLayout.MAX_SIZE);
            final BufferList chain = ring.newChain();
            assertNull(ring.append());
            assertEquals(RingFault.BUFFER_UNMAPPED, ring.append());
            assertEquals(2, chain.pieces());
            assertEquals(150, chain.bytes());
            assertNull(ring.append());
            assertEquals(3, chain.pieces());
            assertEquals(157, chain.bytes());
            assertEquals(0, ring.newChain().pieces());
        }
    }
}

package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.Descriptor;
import org.mypervisor.driversim.PackedBase;
import org.mypervisor.driversim.PackedRing;
import org.mypervisor.driversim.UsedElement;

/** What only packed rings have: wrap counters, used descriptors in the place of available ones, and their order. */
class PackedVirtqueueTest {
    private static final int NEXT = 1;
    private static final int WRITE = 2;
    private static final int INDIRECT = 4;
    private static final int USED = 0x8080;

    /** virtio 1.2 §2.8.1: AVAIL as the wrap counter and USED its inverse, in either lap, and nothing else. */
    @Test
    void shouldTakeDescriptorsOfThisLapOnly() {
        for (final boolean wrap : new boolean[] {true, false}) {
            for (int flags = 0; flags <= USED; flags += 0x80) {
                try (TestRing ring = TestRing.transmitq(4, RingFeatures.PACKED)) {
                    ring.device = Virtqueue.of(
                            ring.mapping.memory(), ring.vringLayout(wrap ? 0x8001_8001 : 0x0001_0001, true));
                    ring.packedRing().writeDescriptor(1, ring.buffer, 64, 0);
                    ring.packedRing().writeFlags(1, flags);
                    final boolean expected = (flags & USED) == (wrap ? 0x80 : 0x8000);
                    assertEquals(expected, ring.device.available(1) != 0, "flags 0x" + Integer.toHexString(flags));
                    ring.newChain();
                    assertEquals(expected, ring.appendIfAvailable());
                }
            }
        }
    }

    /** The id is that of the last descriptor; virtio 1.2 §2.8.5, Buffer ID. */
    @Test
    void shouldReturnIdOfTheLastDescriptor() {
        try (TestRing ring = TestRing.transmitq(5, RingFeatures.PACKED)) {
            final PackedRing bytes = ring.packedRing();
            for (int slot = 0; slot < 3; slot++) {
                bytes.writeDescriptor(slot, ring.buffer, 10, 0xFFFF - slot);
                bytes.writeFlags(slot, 0x80 | (slot < 2 ? NEXT : 0));
            }
            assertEquals(1, ring.consume(0));
            assertEquals(0xFFFD, bytes.id(0));
            assertEquals(USED, bytes.flags(0));
            assertEquals(0x8003_8003, ring.device.base());
        }
    }

    /** virtio 1.2 §2.8.4: WRITE in a used descriptor says that its length has a meaning. */
    @Test
    void shouldSayWhetherItWrote() {
        try (TestRing ring = TestRing.receiveq(2, RingFeatures.PACKED)) {
            ring.offer(ring.buffer, 64);
            ring.offer(ring.buffer, 64);
            ring.completeNext(64);
            ring.completeNext(0);
            ring.device.publish();
            assertEquals(USED | WRITE, ring.packedRing().flags(0));
            assertEquals(64, ring.packedRing().length(0));
            assertEquals(USED, ring.packedRing().flags(1));
        }
    }

    /** A driver that goes on around a ring that is full must not make us do so. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 5})
    void shouldNotGoAroundAFullRing(final int size) {
        try (TestRing ring = TestRing.transmitq(size, RingFeatures.PACKED)) {
            for (int slot = 0; slot < size; slot++) {
                ring.packedRing().writeDescriptor(slot, ring.buffer, 64, 0);
                ring.packedRing().writeFlags(slot, 0x80);
            }
            ring.newChain();
            for (int slot = 0; slot < size; slot++) {
                assertNull(ring.append());
                // As if available in the next lap already.
                ring.packedRing().writeFlags(slot, 0x8000);
            }
            assertFalse(ring.appendIfAvailable());
            for (int slot = 0; slot < size; slot++) {
                ring.complete(0);
            }
            assertEquals(0, ring.device.available(1));
            ring.newChain();
            assertFalse(ring.appendIfAvailable());
            ring.device.publish();
            assertNull(ring.device.fault());
        }
    }

    /** virtio 1.2 §2.8.19 for INDIRECT; the end of a chain that has none within the ring is nowhere. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_PACKED)
    void shouldBreakRingWhenStructureIsWrong(final RingFeatures features) {
        final Descriptor plain = new Descriptor(TestRing.FIRST, 16, 0);
        final Descriptor table = new Descriptor(TestRing.FIRST, 16, INDIRECT);
        assertBreaksRing(features, RingFault.BAD_INDIRECT, List.of(table, plain));
        assertBreaksRing(features, RingFault.BAD_INDIRECT, List.of(plain, table));
        assertBreaksRing(features, RingFault.BAD_INDIRECT, List.of(plain, plain, table, plain));
        for (final long length : new long[] {0, 1, 15, 17, 257 * 16, 0xFFFF_FFF0L, 0xFFFF_FFFFL, 0x8000_0000L}) {
            final Descriptor odd = new Descriptor(TestRing.FIRST, length, INDIRECT);
            assertBreaksRing(features, RingFault.BAD_INDIRECT, List.of(odd));
        }
        final Descriptor endless = new Descriptor(TestRing.FIRST, 1, NEXT);
        assertBreaksRing(
                features, RingFault.CHAIN_LOOP, List.of(endless, endless, endless, endless, endless, endless, endless));
        if (!features.indirect()) {
            assertBreaksRing(features, RingFault.BAD_INDIRECT, List.of(table));
        }
    }

    private static void assertBreaksRing(
            final RingFeatures features, final RingFault expected, final List<Descriptor> chain) {
        for (int lead = 0; lead < 7; lead++) {
            try (TestRing ring = TestRing.transmitq(7, features)) {
                for (int i = 0; i < lead; i++) {
                    ring.offer(ring.buffer, 64);
                    assertEquals(1, ring.consume(0));
                    assertTrue(ring.driver.nextUsed());
                }
                ring.driver.addRaw(chain);
                ring.driver.publish();
                assertEquals(expected, ring.load());
                assertEquals(expected, ring.device.fault());
                assertEquals(0, ring.device.available(1));
                assertEquals(0, ring.driver.usedWaiting());
            }
        }
    }

    @Test
    void shouldBreakRingWhenAChainIsLongerThanAnyIs() {
        try (TestRing ring = TestRing.transmitq(32768, RingFeatures.PACKED)) {
            for (int slot = 0; slot < 1025; slot++) {
                ring.packedRing().writeDescriptor(slot, ring.buffer, 1, 0);
                ring.packedRing().writeFlags(slot, 0x80 | (slot < 1024 ? NEXT : 0));
            }
            assertEquals(RingFault.CHAIN_LOOP, ring.load());
        }
    }

    /** virtio 1.2 §2.8.7: "the device ignores … flags other than VIRTQ_DESC_F_WRITE" of a table's descriptors. */
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.MATCH_ALL,
            names = {RingFeatures.OF_PACKED, RingFeatures.WITH_INDIRECT})
    void shouldIgnoreFlagsInATable(final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(3, features)) {
            final long table = ring.memory.allocate(64, 16);
            for (int i = 0; i < 4; i++) {
                final int flags = new int[] {0xFFFF, WRITE | INDIRECT, WRITE, WRITE | NEXT}[i];
                ring.packedRing().writeDescriptorAt(table + 16 * i, new Descriptor(ring.buffer + i, 1, flags), 77);
            }
            ring.driver.addRaw(List.of(new Descriptor(table, 64, INDIRECT | WRITE)));
            ring.driver.publish();
            assertNull(ring.load());
            assertEquals(4, ring.chain().bytes());
        }
    }

    /** A chain with a bad buffer costs itself: it goes back with length 0 and its own id, wherever it lies. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_PACKED)
    void shouldLoseNothingButTheChainWithABadBuffer(final RingFeatures features) {
        try (TestRing ring = TestRing.receiveq(5, features)) {
            for (int lap = 0; lap < 20; lap++) {
                final int bad = ring.driver.add(List.of(
                        Buffer.writable(ring.buffer, 64),
                        Buffer.writable(TestRing.HOLE, 64),
                        Buffer.writable(ring.buffer, 64)));
                final int good = ring.driver.addOne(ring.buffer, 64, true);
                ring.driver.publish();
                assertEquals(RingFault.BUFFER_UNMAPPED, ring.load());
                ring.complete(0);
                assertNull(ring.load());
                ring.complete(64);
                ring.device.publish();
                assertEquals(new UsedElement(bad, 0), ring.driver.pollUsed());
                assertEquals(new UsedElement(good, 64), ring.driver.pollUsed());
                assertNull(ring.device.fault());
            }
        }
    }

    /** Looks at memory between the stores of a publication: a driver may look at any time. */
    @Test
    void shouldShowAllBuffersOfAFrameTogether() throws InterruptedException {
        final int frame = 500;
        try (TestRing ring = TestRing.receiveq(3 * frame + 1, RingFeatures.PACKED)) {
            final AtomicReference<Throwable> wrong = new AtomicReference<>();
            final int frames = 500;
            for (int i = 0; i < 3 * frame; i++) {
                ring.driver.addOne(ring.buffer, 64, true);
            }
            ring.driver.publish();
            final Thread driver = new Thread(() -> {
                for (int done = 0; done < frames * frame && wrong.get() == null && !Thread.interrupted(); ) {
                    final PackedBase at = ring.packed().position();
                    final int first = at.usedIdx();
                    final int last = (first + frame - 1) % ring.layout.size();
                    if (!isUsed(ring, first, at.usedWrap())) {
                        continue;
                    }
                    if (!isUsed(ring, last, at.usedWrap() == last > first)) {
                        wrong.set(new AssertionError("the last buffer of the frame is missing, " + ring.driver));
                    }
                    for (int i = 0; i < frame; i++) {
                        ring.driver.nextUsed();
                    }
                    done += frame;
                    for (int i = 0; i < frame; i++) {
                        ring.driver.addOne(ring.buffer, 64, true);
                    }
                    ring.driver.publish();
                }
            });
            driver.start();
            ring.newChain();
            final long end = System.nanoTime() + 20_000_000_000L;
            for (int made = 0; made < frames && wrong.get() == null && System.nanoTime() < end; ) {
                ring.newChain();
                int ready = 0;
                while (ready < 2 * frame && ring.appendIfAvailable()) {
                    ready++;
                }
                for (int i = 0; i < ready / frame * frame && made < frames; i++) {
                    ring.complete(64);
                    made += i % frame == frame - 1 ? 1 : 0;
                }
                if (ring.device.hasUnpublished()) {
                    ring.device.publish();
                }
            }
            driver.join(20_000);
            driver.interrupt();
            driver.join();
            assertNull(wrong.get());
            assertNull(ring.device.fault());
        }
    }

    private static boolean isUsed(final TestRing ring, final int slot, final boolean wrap) {
        return (ring.packedRing().flags(slot) & USED) == (wrap ? USED : 0);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, -8, 32769, 65536})
    void shouldRefuseSize(final int size) {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PACKED)) {
            final VringLayout good = ring.vringLayout();
            final VringLayout bad = new VringLayout(
                    size, good.descUva(), good.availUva(), good.usedUva(), false, good.features(), 0, false);
            assertThrows(IllegalArgumentException.class, () -> Virtqueue.of(ring.mapping.memory(), bad));
        }
    }

    /** virtio 1.2 §2.8.10.1 for alignments; all of a ring must be mapped, not only its beginning. */
    @Test
    void shouldRefuseRingThatIsMisalignedOrLeavesSharedMemory() {
        try (TestRing ring = TestRing.transmitq(7, RingFeatures.PACKED)) {
            final VringLayout good = ring.vringLayout();
            final long uvaOfEnd = ring.memory.uvaOf(TestRing.HOLE - 16) + 16;
            assertRefused(ring, "desc ring", good.descUva() + 8, good.availUva(), good.usedUva());
            assertRefused(ring, "driver event area", good.descUva(), good.availUva() + 2, good.usedUva());
            assertRefused(ring, "device event area", good.descUva(), good.availUva(), good.usedUva() + 2);
            assertRefused(ring, "desc ring", uvaOfEnd - 6 * 16, good.availUva(), good.usedUva());
            assertRefused(ring, "driver event area", good.descUva(), uvaOfEnd, good.usedUva());
            assertRefused(ring, "device event area", good.descUva(), good.availUva(), -4);
            // The very end is still good.
            build(ring, uvaOfEnd - 7 * 16, good.availUva(), good.usedUva());
            build(ring, good.descUva(), uvaOfEnd - 4, good.usedUva());
            build(ring, good.descUva(), good.availUva(), uvaOfEnd - 4);
        }
    }

    private static void assertRefused(
            final TestRing ring, final String part, final long desc, final long driver, final long device) {
        final Exception refused = assertThrows(IllegalArgumentException.class, () -> build(ring, desc, driver, device));
        assertTrue(refused.getMessage().startsWith(part), refused.getMessage());
    }

    private static Virtqueue build(final TestRing ring, final long desc, final long driver, final long device) {
        return Virtqueue.of(
                ring.mapping.memory(),
                new VringLayout(7, desc, driver, device, false, ring.features.mask, 0x8000_8000, false));
    }
}

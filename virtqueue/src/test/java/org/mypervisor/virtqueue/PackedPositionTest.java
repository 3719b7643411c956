package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.PackedBase;

/** Where a new device goes on over a ring that its predecessor left behind without a word. A failure names its seed. */
class PackedPositionTest {
    private static final int SEEDS = 1500;
    private static final int MOST_STEPS = 120;

    /** A chain that the driver made available at a slot, in the lap with this wrap counter. */
    private static final class Chain {
        private final int slot;
        private final boolean wrap;
        private final int id;
        private boolean used;

        Chain(final int slot, final boolean wrap, final int id) {
            this.slot = slot;
            this.wrap = wrap;
            this.id = id;
        }
    }

    /** One ring, its driver, and a device that is replaced at any moment by one that was told a stale base. */
    private static final class History {
        private final TestRing ring;
        private final Random random;
        private final int mostInChain;
        private final Set<Integer> bases = new HashSet<>(Set.of(0x8000_8000));
        /** Chains that the driver has not collected. */
        private final Deque<Chain> out = new ArrayDeque<>();

        History(final TestRing ring, final Random random, final int mostInChain) {
            this.ring = ring;
            this.random = random;
            this.mostInChain = mostInChain;
        }

        void step() {
            switch (random.nextInt(4)) {
                case 0 -> add(1 + random.nextInt(ring.layout.size()));
                case 1 -> completeAndPublish(random.nextInt(ring.layout.size() + 1));
                case 2 -> dieWhilePublishing(random.nextInt(ring.layout.size() + 1));
                default -> collect(random.nextInt(ring.layout.size() + 1));
            }
        }

        private void add(final int chains) {
            for (int i = 0; i < chains && ring.driver.freeDescriptors() > 0; i++) {
                final int length = 1 + random.nextInt(Math.min(mostInChain, ring.driver.freeDescriptors()));
                final List<Buffer> buffers = new ArrayList<>();
                for (int b = 0; b < length; b++) {
                    buffers.add(new Buffer(ring.buffer + b, 1, ring.writable));
                }
                final boolean indirect = ring.features.indirect() && random.nextInt(3) == 0;
                final PackedBase at = ring.packed().position();
                final int id = indirect ? ring.driver.addIndirect(buffers) : ring.driver.add(buffers);
                out.add(new Chain(at.availIdx(), at.availWrap(), id));
            }
            ring.driver.publish();
        }

        /** Returns those completed. */
        private List<Chain> complete(final int chains) {
            ring.newChain();
            int done = 0;
            for (; done < chains && ring.appendIfAvailable(); done++) {
                ring.complete(random.nextInt(2));
            }
            return out.stream().filter(chain -> !chain.used).limit(done).toList();
        }

        private void completeAndPublish(final int chains) {
            for (final Chain chain : complete(chains)) {
                chain.used = true;
            }
            if (ring.device.hasUnpublished()) {
                ring.device.publish();
            }
            bases.add(ring.device.base());
        }

        /** The used descriptors of a burst are written up to one of them, the first comes last, and the device is gone. */
        private void dieWhilePublishing(final int chains) {
            final List<Chain> burst = complete(chains);
            final int written = random.nextInt(burst.size() + 1);
            for (int i = 1; i < written; i++) {
                final Chain chain = burst.get(i);
                ring.packedRing().writeDescriptor(chain.slot, 0, 0, chain.id);
                ring.packedRing().writeFlagsRelease(chain.slot, chain.wrap ? 0x8080 : 0);
                chain.used = true;
            }
        }

        /** By the history alone. */
        int rightBase() {
            final List<Chain> undone = out.stream().filter(chain -> !chain.used).toList();
            final List<Chain> all = List.copyOf(out);
            final int behind = undone.isEmpty() ? 0 : all.indexOf(undone.get(0)) + 1;
            final boolean gap = behind != 0 && behind < all.size() && all.get(behind).used;
            if (gap && ring.features == RingFeatures.PACKED_MERGEABLE && ring.writable) {
                // The head of a frame that may have had more buffers is given back empty at once.
                undone.get(0).used = true;
            }
            for (final Chain chain : out) {
                if (!chain.used) {
                    return new PackedBase(chain.slot, chain.wrap, chain.slot, chain.wrap).encode();
                }
            }
            final PackedBase driver = ring.packed().position();
            return new PackedBase(driver.availIdx(), driver.availWrap(), driver.availIdx(), driver.availWrap())
                    .encode();
        }

        private void collect(final int chains) {
            for (int i = 0; i < chains && ring.driver.nextUsed(); i++) {
                assertEquals(out.remove().id, ring.driver.usedHead());
            }
        }

        /** A base that was right at some time, or any. */
        int staleBase() {
            return random.nextInt(4) == 0
                    ? random.nextInt(ring.layout.size()) * 0x1_0001 | (random.nextBoolean() ? 0x8000_8000 : 0)
                    : List.copyOf(bases).get(random.nextInt(bases.size()));
        }

        /** All that is out comes back, in order, from whoever runs the ring now. */
        void drain() {
            // Twice: what a dead device left behind the first chain ends a burst.
            completeAndPublish(Integer.MAX_VALUE);
            completeAndPublish(Integer.MAX_VALUE);
            collect(Integer.MAX_VALUE);
            assertEquals(0, ring.driver.outstanding());
        }
    }

    private static void assertGoesOnAnywhere(final RingFeatures features, final int mostInChain) {
        for (int seed = 0; seed < SEEDS; seed++) {
            final Random random = new Random(seed);
            final int size = 1 + random.nextInt(40);
            try (TestRing ring =
                    random.nextBoolean() ? TestRing.receiveq(size, features) : TestRing.transmitq(size, features)) {
                final History history = new History(ring, random, mostInChain);
                final int steps = random.nextInt(MOST_STEPS);
                for (int step = 0; step < steps; step++) {
                    history.step();
                    final int stale = history.staleBase();
                    final int right = history.rightBase();
                    final String story =
                            "seed %d size %d step %d base 0x%x %s".formatted(seed, size, step, stale, ring.driver);
                    ring.device = Virtqueue.of(ring.mapping.memory(), ring.vringLayout(stale, false));
                    assertEquals(Integer.toHexString(right), Integer.toHexString(ring.device.base()), story);
                }
                history.drain();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_PACKED)
    void shouldGoOnWhereTheFormerDeviceStoodWhenChainsAreSingleDescriptors(final RingFeatures features) {
        assertGoesOnAnywhere(features, 1);
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_PACKED)
    void shouldGoOnWhereTheFormerDeviceStoodWhenChainsAreLong(final RingFeatures features) {
        assertGoesOnAnywhere(features, 5);
    }

    /** Ping-pong, and rings that are full or empty, at every place and in both laps. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 256, 32768})
    void shouldGoOnInEmptyAndFullRings(final int size) {
        try (TestRing ring = TestRing.receiveq(size, RingFeatures.PACKED)) {
            assertPosition(ring, 0);
            int at = 0;
            for (final int burst : new int[] {1, 1, size, size - 1, size, 1, size}) {
                for (int i = 0; i < burst; i++) {
                    ring.driver.addOne(ring.buffer, 64, true);
                }
                ring.driver.publish();
                assertPosition(ring, at);
                assertEquals(burst, ring.consume(1));
                at += burst;
                assertPosition(ring, at);
                while (ring.driver.nextUsed()) {
                    // Collects, which leaves no trace in the ring.
                }
            }
        }
    }

    private static void assertPosition(final TestRing ring, final int descriptors) {
        ring.restart();
        assertEquals(ring.baseAfter(0, descriptors), ring.device.base());
    }

    /** The driver goes on while no back-end runs, and while the next one looks at the ring. */
    @Test
    void shouldGoOnWhileTheDriverAdds() throws InterruptedException {
        final int size = 4096;
        for (int lap = 0; lap < 30; lap++) {
            try (TestRing ring = TestRing.transmitq(size, RingFeatures.PACKED)) {
                final int before = 1 + 100 * lap;
                for (int i = 0; i < before; i++) {
                    ring.offer(ring.buffer, 64);
                }
                assertEquals(before, ring.consume(0));
                while (ring.driver.nextUsed()) {
                    // All descriptors are free again.
                }
                final AtomicBoolean begun = new AtomicBoolean();
                final Thread driver = new Thread(() -> {
                    while (ring.driver.addOne(ring.buffer, 64, false) >= 0) {
                        ring.driver.publish();
                        begun.set(true);
                    }
                });
                driver.start();
                while (!begun.get()) {
                    Thread.onSpinWait();
                }
                for (int look = 0; look < 20; look++) {
                    assertPosition(ring, before);
                }
                driver.join();
                assertPosition(ring, before);
            }
        }
    }

    /** A burst is written and its first descriptor is not, which comes last. */
    @Test
    void shouldLookAgainWhenTheDriverIsInTheMidstOfABurst() throws InterruptedException {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PACKED)) {
            ring.offer(ring.buffer, 64);
            assertEquals(1, ring.consume(0));
            ring.driver.addOne(ring.buffer, 64, false);
            ring.driver.addOne(ring.buffer, 64, false);
            final Thread driver = new Thread(() -> {
                java.util.concurrent.locks.LockSupport.parkNanos(3_000_000);
                ring.driver.publish();
            });
            driver.start();
            assertPosition(ring, 1);
            driver.join();
        }
    }

    /** First in place, last written: whoever dies in between leaves used descriptors behind one that is not. */
    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_PACKED)
    void shouldSkipWhatWasPublishedBehindTheFirst(final RingFeatures features) {
        for (final boolean baseIsOurs : new boolean[] {false, true}) {
            try (TestRing ring = TestRing.transmitq(5, features)) {
                final List<Integer> ids = new ArrayList<>();
                for (int i = 0; i < 5; i++) {
                    ids.add(ring.offer(ring.buffer, 64));
                }
                for (int slot = 1; slot < 4; slot++) {
                    ring.packedRing().writeDescriptor(slot, 0, 0, ids.get(slot));
                    ring.packedRing().writeFlagsRelease(slot, 0x8080);
                }
                ring.device = Virtqueue.of(ring.mapping.memory(), ring.vringLayout(0x8000_8000, baseIsOurs));
                assertEquals(1, ring.consume(0), "the first");
                assertEquals(1, ring.consume(0), "the last");
                for (final int id : ids) {
                    assertEquals(id, ring.driver.pollUsed().head());
                }
                ring.offer(ring.buffer, 64);
                assertEquals(1, ring.consume(0));
            }
        }
    }

    /** Its head is not seen by anybody, so the other buffers of a frame must not be taken for frames. */
    @Test
    void shouldEmptyMergedBuffersWhoseHeadWasNotPublished() {
        try (TestRing ring = TestRing.receiveq(4, RingFeatures.PACKED_MERGEABLE)) {
            for (int i = 0; i < 4; i++) {
                ring.offer(ring.buffer, 64);
            }
            ring.packedRing().writeDescriptor(1, 0, 64, 1);
            ring.packedRing().writeFlagsRelease(1, 0x8082);
            ring.restart();
            assertEquals(0, ring.driver.pollUsed().length());
            assertEquals(0, ring.driver.pollUsed().length());
            assertNull(ring.driver.pollUsed());
            assertEquals(2, ring.consume(64));
        }
    }

    /** As no device of ours leaves it. */
    @Test
    void shouldRefuseRingInNoOrder() {
        try (TestRing ring = TestRing.transmitq(8, RingFeatures.PACKED)) {
            for (int i = 0; i < 5; i++) {
                ring.offer(ring.buffer, 64);
            }
            ring.packedRing().writeFlags(2, 0x8080);
            ring.packedRing().writeFlags(4, 0x8080);
            assertLost(ring);
            ring.packedRing().writeFlags(2, 0x80);
            ring.packedRing().writeFlags(4, 0x80);
            assertPosition(ring, 0);
            ring.packedRing().writeFlags(0, 0x8080);
            assertPosition(ring, 1);
            ring.packedRing().writeFlags(6, 0x80);
            assertLost(ring);
        }
    }

    private static void assertLost(final TestRing ring) {
        final Exception lost = assertThrows(IllegalArgumentException.class, ring::restart);
        assertTrue(lost.getMessage().startsWith("the index of a packed ring was lost"), lost.getMessage());
    }

    /** A stop on this connection told it; chains that the device took and did not use are no trouble then. */
    @ParameterizedTest
    @ValueSource(ints = {0x8000_8000, 0x8003_8003, 0, 0x0006_0006})
    void shouldBelieveBaseThatCameFromUs(final int base) {
        try (TestRing ring = TestRing.transmitq(7, RingFeatures.PACKED)) {
            ring.offer(ring.buffer, 64);
            assertEquals(
                    base,
                    Virtqueue.of(ring.mapping.memory(), ring.vringLayout(base, true))
                            .base());
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0x8007_8007, 0x0007_0007, 0xFFFF_FFFF})
    void shouldRefuseBaseBehindTheRing(final int base) {
        try (TestRing ring = TestRing.transmitq(7, RingFeatures.PACKED)) {
            assertThrows(
                    IllegalArgumentException.class,
                    () -> Virtqueue.of(ring.mapping.memory(), ring.vringLayout(base, true)));
        }
    }
}

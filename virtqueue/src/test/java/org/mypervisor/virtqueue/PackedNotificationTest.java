package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.SlowQueue;
import org.mypervisor.driversim.Virtio;

/** Event suppression areas of packed rings, virtio 1.2 §2.8.10 and §2.8.14. */
class PackedNotificationTest {
    private static final int ENABLE = Virtio.RING_EVENT_FLAGS_ENABLE;
    private static final int DISABLE = Virtio.RING_EVENT_FLAGS_DISABLE;
    private static final int DESC = Virtio.RING_EVENT_FLAGS_DESC;

    /** The driver gives so many single descriptors, and the device uses them as one burst; the driver collects. */
    private static void useAndPublish(final TestRing ring, final int count) {
        for (int i = 0; i < count; i++) {
            ring.driver.addOne(ring.buffer, 1, false);
        }
        ring.driver.publish();
        assertEquals(count, ring.consume(0));
        while (ring.driver.nextUsed()) {
            // Collects; this driver's wish is written by the test.
        }
    }

    private static boolean isCalled(final TestRing ring) {
        final boolean called = ring.device.isCallNeeded();
        ring.device.callDecided();
        return called;
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_PACKED)
    void shouldObeyEnableAndDisable(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(3, features)) {
            for (int lap = 0; lap < 5; lap++) {
                ring.packedRing().writeDriverEvent(0x1234, DISABLE);
                useAndPublish(ring, 1);
                assertFalse(isCalled(ring));
                ring.packedRing().writeDriverEvent(0x1234, ENABLE);
                useAndPublish(ring, 1);
                assertTrue(isCalled(ring));
            }
        }
    }

    /** Without EVENT_IDX there is no DESC; whoever writes it all the same is called rather too often. */
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.MATCH_ALL,
            names = {RingFeatures.OF_PACKED, RingFeatures.WITHOUT_EVENT_IDX})
    void shouldCallWhenDescIsAskedWithoutTheFeature(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(3, features)) {
            for (int lap = 0; lap < 5; lap++) {
                ring.packedRing().writeDriverEvent(2, DESC);
                useAndPublish(ring, 1);
                assertTrue(isCalled(ring));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.MATCH_ALL,
            names = {RingFeatures.OF_PACKED, RingFeatures.WITH_EVENT_IDX})
    void shouldCallAfterTheFirstBurstWhateverOffsetTheDriverWished(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.packedRing().writeDriverEvent(0x8005, DESC);
            useAndPublish(ring, 1);
            assertTrue(isCalled(ring));
            useAndPublish(ring, 1);
            assertFalse(isCalled(ring));
        }
    }

    /** A ring of 7 at a position of lap 1 (0x8000 set) or 2; the burst; the wish. */
    @ParameterizedTest
    @CsvSource({
        "2, 1, 0x8001, false", // one behind
        "2, 1, 0x8002, true",
        "2, 1, 0x8003, false", // one ahead
        "2, 3, 0x8004, true",
        "2, 3, 0x8005, false",
        "2, 1, 0x0002, false", // a lap ahead
        "5, 4, 0x8004, false", // over the end
        "5, 4, 0x8005, true",
        "5, 4, 0x8006, true",
        "5, 4, 0x0000, true",
        "5, 4, 0x0001, true",
        "5, 4, 0x0002, false",
        "5, 4, 0x8000, false", // a lap behind
        "6, 1, 0x8006, true", // up to the end
        "6, 1, 0x0000, false",
        "1, 7, 0x8001, true", // all of the ring
        "1, 7, 0x0000, true",
        "1, 7, 0x0001, false",
        "12, 4, 0x0005, true", // the second lap's end
        "12, 4, 0x8001, true",
        "12, 4, 0x8002, false"
    })
    void shouldCallExactlyWhenTheDescriptorIsPassed(
            final int start, final int count, final String wish, final boolean called) {
        try (TestRing ring = TestRing.transmitq(7, RingFeatures.PACKED_EVENT_IDX)) {
            for (int i = 0; i < start; i++) {
                useAndPublish(ring, 1);
            }
            isCalled(ring);
            ring.packedRing().writeDriverEvent(Integer.decode(wish), DESC);
            useAndPublish(ring, count);
            assertEquals(called, isCalled(ring));
        }
    }

    /** Our arithmetic against the reference device's, for chains of several descriptors too. */
    @Test
    void shouldAgreeWithReferenceDevice() {
        for (final int size : new int[] {1, 2, 3, 7, 16, 33}) {
            final Random random = new Random(size);
            try (TestRing ring = TestRing.transmitq(size, RingFeatures.PACKED_EVENT_IDX);
                    TestRing other = TestRing.transmitq(size, RingFeatures.PACKED_EVENT_IDX)) {
                final SlowQueue reference =
                        SlowQueue.of(other.memory, other.layout, other.features.mask, other.driver.firstBase());
                for (int step = 0; step < 5000; step++) {
                    final int wish = random.nextInt(size) | (random.nextBoolean() ? 0x8000 : 0);
                    final int flags = random.nextInt(4) == 0 ? random.nextInt(3) : DESC;
                    for (final TestRing each : new TestRing[] {ring, other}) {
                        each.packedRing().writeDriverEvent(step == 0 ? 0 : wish, step == 0 ? DESC : flags);
                    }
                    for (int chains = 1 + random.nextInt(size);
                            chains > 0 && ring.driver.freeDescriptors() > 0;
                            chains--) {
                        final long[] buffers =
                                new long[2 * (1 + random.nextInt(Math.min(3, ring.driver.freeDescriptors())))];
                        java.util.Arrays.fill(buffers, TestRing.FIRST);
                        for (int i = 1; i < buffers.length; i += 2) {
                            buffers[i] = 1;
                        }
                        ring.offer(buffers);
                        other.offer(buffers);
                    }
                    ring.consume(0);
                    for (SlowQueue.Taken taken = reference.take(); taken != null; taken = reference.take()) {
                        reference.use(taken.head(), 0);
                    }
                    assertEquals(reference.publish(), isCalled(ring), "size " + size + " step " + step);
                    while (ring.driver.nextUsed()) {
                        assertTrue(other.driver.nextUsed());
                    }
                }
            }
        }
    }

    @Test
    void shouldWriteItsWishAsNegotiated() {
        try (TestRing ring = TestRing.transmitq(7, RingFeatures.PACKED_EVENT_IDX)) {
            assertEquals(DISABLE, ring.packedRing().deviceEventFlags(), "a ring starts polled");
            useAndPublish(ring, 5);
            ring.device.enableKicks();
            assertEquals(DESC, ring.packedRing().deviceEventFlags());
            assertEquals(0x8005, ring.packedRing().deviceEventOffset());
            useAndPublish(ring, 5);
            ring.device.enableKicks();
            assertEquals(0x0003, ring.packedRing().deviceEventOffset());
            ring.device.suppressKicks();
            assertEquals(DISABLE, ring.packedRing().deviceEventFlags());
        }
        try (TestRing ring = TestRing.transmitq(7, RingFeatures.PACKED)) {
            ring.device.enableKicks();
            assertEquals(ENABLE, ring.packedRing().deviceEventFlags());
        }
    }

    /** Both sides sleep whenever they may: whoever forgets the other's wish stops here. */
    @ParameterizedTest
    @EnumSource
    void shouldLoseNoKickAndNoCallWhenBothSleep(final RingFeatures features) throws InterruptedException {
        final int chains = 20_000;
        final int size = features.packed() ? 5 : 4;
        try (TestRing ring = TestRing.transmitq(size, features)) {
            final AtomicBoolean over = new AtomicBoolean();
            final Thread worker = new Thread(() -> {
                while (!over.get()) {
                    ring.device.suppressKicks();
                    if (ring.consume(0) != 0) {
                        if (isCalled(ring)) {
                            ring.driver.notifiers().call().signal();
                        }
                    } else if (!ring.device.enableKicks()) {
                        ring.driver.notifiers().kick().await(Duration.ofSeconds(10));
                        ring.driver.notifiers().kick().drain();
                    }
                }
            });
            worker.start();
            try {
                final Random random = new Random(7);
                for (int done = 0; done < chains; ) {
                    final int burst = 1 + random.nextInt(size);
                    for (int i = 0; i < burst; i++) {
                        ring.driver.addOne(ring.buffer, 64, false);
                    }
                    ring.driver.publishAndKick();
                    for (int i = 0; i < burst; i++) {
                        ring.driver.awaitUsed(Duration.ofSeconds(5));
                    }
                    done += burst;
                }
            } finally {
                over.set(true);
                ring.driver.kickAlways();
                worker.join();
            }
        }
    }
}

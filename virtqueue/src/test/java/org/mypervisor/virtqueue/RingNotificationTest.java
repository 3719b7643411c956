package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.SlowDevice;

/** Suppression of kicks and calls, virtio 1.2 §2.7.7 and §2.7.10; {@link PackedNotificationTest} for packed rings' calls. */
class RingNotificationTest {
    private static final RingFeatures EVENT_IDX = RingFeatures.EVENT_IDX;
    private static final RingFeatures PLAIN = RingFeatures.PLAIN;

    /** Completes so many chains as one burst, without a driver behind the ring. */
    private static void useAndPublish(final Virtqueue device, final int count) {
        for (int i = 0; i < count; i++) {
            device.newChain();
            device.complete(0, 0);
        }
        device.publish();
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.MATCH_ALL, names = RingFeatures.OF_SPLIT)
    void shouldCallAfterTheFirstBurstWhateverTheDriverWished(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.driver.enableInterrupts();
            ring.ring().writeUsedEvent(0x4000);
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring));
        }
    }

    /** virtio 1.2 §2.7.7.2: without EVENT_IDX the flag decides, at every burst anew. */
    @ParameterizedTest
    @EnumSource(
            mode = EnumSource.Mode.MATCH_ALL,
            names = {RingFeatures.OF_SPLIT, RingFeatures.WITHOUT_EVENT_IDX})
    void shouldObeyAvailFlag(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            for (int lap = 0; lap < 3; lap++) {
                ring.driver.disableInterrupts();
                useAndPublish(ring.device, 1);
                assertFalse(isCalled(ring));
                ring.driver.enableInterrupts();
                useAndPublish(ring.device, 1);
                assertTrue(isCalled(ring));
            }
        }
    }

    /** With EVENT_IDX the driver sets flags to 0 and the device ignores them. */
    @Test
    void shouldIgnoreAvailFlagWithEventIdx() {
        try (TestRing ring = TestRing.transmitq(8, EVENT_IDX)) {
            ring.ring().writeAvailFlags(1);
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring));
            ring.ring().writeUsedEvent(1);
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring));
        }
    }

    /** Beyond {@code used_event}: the entry at that index was written in this burst. Start 0x10, then n more. */
    @ParameterizedTest
    @CsvSource({
        "0x10, 1, 0x0f, false", // one behind
        "0x10, 1, 0x10, true",
        "0x10, 1, 0x11, false", // one ahead
        "0x10, 4, 0x0f, false",
        "0x10, 4, 0x10, true",
        "0x10, 4, 0x13, true",
        "0x10, 4, 0x14, false",
        "0xfffe, 4, 0xfffd, false", // over the wrap
        "0xfffe, 4, 0xfffe, true",
        "0xfffe, 4, 0xffff, true",
        "0xfffe, 4, 0x0000, true",
        "0xfffe, 4, 0x0001, true",
        "0xfffe, 4, 0x0002, false",
        "0xffff, 1, 0xffff, true",
        "0xffff, 1, 0x0000, false",
        "0x0000, 8, 0x8000, false",
        "0x7fff, 2, 0x8000, true",
        "0x7fff, 2, 0x8001, false"
    })
    void shouldCallExactlyWhenUsedEventIsPassed(
            final String from, final int count, final String usedEvent, final boolean called) {
        final int start = Integer.decode(from);
        try (TestRing ring = TestRing.transmitq(8, EVENT_IDX)) {
            ring.setIndices(start - 1 & 0xFFFF);
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring), "the first call is always made");
            ring.ring().writeUsedEvent(Integer.decode(usedEvent));
            useAndPublish(ring.device, count);
            assertEquals(called, isCalled(ring));
        }
    }

    /** The distance is measured from the last time the driver was asked about, not from the last burst. */
    @Test
    void shouldNotCallTwiceForOneUsedEvent() {
        try (TestRing ring = TestRing.transmitq(8, EVENT_IDX)) {
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring));
            ring.ring().writeUsedEvent(2);
            useAndPublish(ring.device, 1);
            assertFalse(isCalled(ring));
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring));
            useAndPublish(ring.device, 1);
            assertFalse(isCalled(ring));
        }
    }

    @Test
    void shouldCountBurstsThatNobodyAskedAbout() {
        try (TestRing ring = TestRing.transmitq(8, EVENT_IDX)) {
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring));
            ring.ring().writeUsedEvent(1);
            useAndPublish(ring.device, 1);
            useAndPublish(ring.device, 1);
            assertTrue(isCalled(ring), "used_event was passed by a burst in between");
        }
    }

    /** Our arithmetic against the reference device's, step by step over the wrap of 16 bits. */
    @Test
    void shouldAgreeWithReferenceDeviceOverTheWrap() {
        final java.util.Random random = new java.util.Random(42);
        try (TestRing ring = TestRing.transmitq(16, EVENT_IDX)) {
            ring.setIndices(0xFF00);
            final SlowDevice reference =
                    new SlowDevice(ring.memory, ring.split().layout(), EVENT_IDX.mask, 0xFF00);
            int index = 0xFF00;
            for (int step = 0; step < 20_000; step++) {
                final int count = 1 + random.nextInt(16);
                ring.ring().writeUsedEvent(index + random.nextInt(40) - 20 & 0xFFFF);
                useAndPublish(ring.device, count);
                final boolean ours = isCalled(ring);
                for (int i = 0; i < count; i++) {
                    reference.use(0, 0);
                }
                if (step == 0) {
                    reference.publish();
                } else {
                    assertEquals(reference.publish(), ours, "step " + step + " index " + index);
                }
                index = index + count & 0xFFFF;
            }
        }
    }

    /** A driver that keeps its part kicks nobody who polls. */
    @ParameterizedTest
    @EnumSource
    void shouldGetNoKicksWhilePolling(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(256, features)) {
            // The driver's avail_event starts at zero: the very first chain may kick.
            ring.offer(ring.buffer, 64);
            ring.driver.kickIfNeeded();
            final long before = ring.driver.kicks();
            for (int i = 0; i < 200; i++) {
                ring.offer(ring.buffer, 64);
                ring.driver.kickIfNeeded();
            }
            assertEquals(before, ring.driver.kicks());
        }
    }

    @ParameterizedTest
    @EnumSource
    void shouldGetOneKickForEachWish(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(64, features)) {
            for (int lap = 0; lap < 2000; lap++) {
                assertFalse(ring.device.enableKicks());
                final long before = ring.driver.kicks();
                ring.offer(ring.buffer, 64);
                assertTrue(ring.driver.kickIfNeeded(), "lap " + lap);
                ring.device.suppressKicks();
                ring.offer(ring.buffer, 64);
                assertFalse(ring.driver.kickIfNeeded(), "lap " + lap);
                assertEquals(before + 1, ring.driver.kicks());
                assertEquals(2, ring.consume(0));
                assertTrue(ring.driver.nextUsed() && ring.driver.nextUsed());
            }
        }
    }

    /** cloud-hypervisor#897: what came before the wish is seen by the last look, not by a kick. */
    @ParameterizedTest
    @EnumSource
    void shouldTellOfChainsThatCameBeforeTheWish(final RingFeatures features) {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            assertEquals(0, ring.device.available(VringLayout.MAX_SIZE));
            ring.offer(ring.buffer, 64);
            assertTrue(ring.device.enableKicks());
        }
    }

    /** virtio 1.2 §2.7.10: the device sets flags to 0 with EVENT_IDX, and uses the flag without. */
    @Test
    void shouldWriteOnlyTheNegotiatedFormOfItsWish() {
        try (TestRing ring = TestRing.transmitq(8, EVENT_IDX)) {
            ring.setIndices(3);
            ring.ring().writeAvailIdx(3);
            assertEquals(0, ring.ring().usedFlags());
            ring.device.enableKicks();
            assertEquals(3, ring.ring().availEvent());
            ring.device.suppressKicks();
            assertEquals(0, ring.ring().usedFlags());
        }
        try (TestRing ring = TestRing.transmitq(8, PLAIN)) {
            ring.memory.putLe16(ring.layout.usedGpa() + 4 + 8 * 8, 0x5555);
            assertEquals(1, ring.ring().usedFlags(), "a ring starts polled");
            ring.device.enableKicks();
            assertEquals(0, ring.ring().usedFlags());
            assertEquals(0x5555, ring.ring().availEvent(), "without the feature there is no such field");
        }
    }

    /** Asks the ring and tells it that its answer was followed. */
    private static boolean isCalled(final TestRing ring) {
        final boolean called = ring.device.isCallNeeded();
        ring.device.callDecided();
        return called;
    }
}

package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Looking at many chains at once, from either side, finds those in front that are one buffer, and shows the driver their ends in order. */
class LookTest {
    private static final int ROUNDS = 400;
    private static final int[] SIZES = {1, 2, 64, 128};
    private static final int[] PACKED_SIZES = {1, 2, 7, 65, 100};

    @ParameterizedTest
    @EnumSource
    void shouldFindChainsOfOneBuffer(final RingFeatures features) {
        for (final int size : features.packed() ? PACKED_SIZES : SIZES) {
            for (final boolean writable : new boolean[] {false, true}) {
                try (TestRing ring =
                        writable ? TestRing.receiveq(size, features) : TestRing.transmitq(size, features)) {
                    final Random random = new Random(size);
                    for (int round = 0; round < ROUNDS; round++) {
                        final int at = round;
                        lookAndComplete(ring, random, () -> "%s size %d writable=%b round %d"
                                .formatted(features, size, writable, at));
                    }
                }
            }
        }
    }

    /** All that is offered is taken in the end: what a look leaves is of another kind, or one too many. */
    private static void lookAndComplete(final TestRing ring, final Random random, final Supplier<String> story) {
        final int usual = random.nextInt(ring.layout.size() + 1);
        for (int i = 0; i < usual; i++) {
            ring.offer(ring.buffer + 64L * i, 1 + i);
        }
        int offered = usual;
        if (random.nextBoolean() && ring.driver.freeDescriptors() >= 2) {
            ring.offer(ring.buffer, 1, ring.buffer + 64, 1);
            offered++;
        }
        final int known = Math.min(usual, BufferBurst.MOST);
        assertEquals(known, ring.device.look(BufferBurst.MOST), story);
        final BufferBurst burst = ring.device.burst();
        final long host = ring.mapping.memory().translate(ring.buffer, 1);
        for (int i = 0; i < known; i++) {
            assertEquals(host + 64L * i, burst.address(i), story);
            assertEquals(1 + i, burst.length(i), story);
            burst.setWritten(i, ring.writable ? 1 + i : 0);
        }
        ring.device.completeBurst(known);
        for (int i = known; i < offered; i++) {
            ring.completeNext(0);
        }
        ring.device.publish();
        for (int i = 0; i < offered; i++) {
            assertTrue(ring.driver.nextUsed(), story);
            assertEquals(i < known && ring.writable ? 1 + i : 0, ring.driver.usedLength(), story);
        }
        assertFalse(ring.driver.nextUsed(), story);
    }
}

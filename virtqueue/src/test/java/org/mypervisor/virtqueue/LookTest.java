package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A look at many chains at once finds those in front that are one buffer, wherever others stand among those behind. */
class LookTest {
    private static final int ROUNDS = 300;
    private static final int[] SIZES = {1, 2, 64, 128};
    private static final int[] PACKED_SIZES = {1, 2, 7, 65, 100};

    /** A chain that the driver has made available. */
    private record Offered(int head, long gpa, int length, boolean usual) {}

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
                        takeAll(ring, offer(ring, random), () -> "%s size %d writable=%b round %d"
                                .formatted(features, size, writable, at));
                    }
                }
            }
        }
    }

    /** Up to a random number; one in a random number is of two buffers, or of an empty one. */
    private static List<Offered> offer(final TestRing ring, final Random random) {
        final int most = random.nextInt(ring.layout.size() + 1);
        final int oneIn = 1 + random.nextInt(100);
        final List<Offered> offered = new ArrayList<>();
        while (offered.size() < most && ring.driver.freeDescriptors() >= 2) {
            final long gpa = ring.buffer + random.nextInt(60_000);
            final int length = 1 + random.nextInt(2_000);
            if (random.nextInt(oneIn) != 0) {
                offered.add(new Offered(ring.offer(gpa, length), gpa, length, true));
            } else if (random.nextBoolean()) {
                offered.add(new Offered(ring.offer(gpa, 1, gpa, 1), gpa, 2, false));
            } else {
                offered.add(new Offered(ring.offer(gpa, 0), gpa, 0, false));
            }
        }
        if (ring.driver.freeDescriptors() == 1 && offered.size() < most) {
            offered.add(new Offered(ring.offer(ring.buffer, 1), ring.buffer, 1, true));
        }
        return offered;
    }

    /** By looks, and one by one where the next chain is of another kind. */
    private static void takeAll(final TestRing ring, final List<Offered> offered, final Supplier<String> story) {
        int done = 0;
        while (done < offered.size()) {
            final int found = ring.device.look(BufferBurst.MOST);
            assertEquals(usualFrom(offered, done), found, story);
            final BufferBurst burst = ring.device.burst();
            for (int i = 0; i < found; i++) {
                final Offered chain = offered.get(done + i);
                assertEquals(ring.mapping.memory().translate(chain.gpa, chain.length), burst.address(i), story);
                assertEquals(chain.length, burst.length(i), story);
                burst.setWritten(i, 0);
            }
            ring.device.completeBurst(found);
            done += found;
            if (found == 0) {
                ring.completeNext(0);
                done++;
            }
        }
        assertEquals(0, ring.device.look(BufferBurst.MOST), story);
        ring.device.publish();
        for (final Offered chain : offered) {
            assertTrue(ring.driver.nextUsed(), story);
            assertEquals(chain.head, ring.driver.usedHead(), story);
        }
        assertFalse(ring.driver.nextUsed(), story);
    }

    private static int usualFrom(final List<Offered> offered, final int first) {
        int count = 0;
        while (first + count < offered.size() && offered.get(first + count).usual && count < BufferBurst.MOST) {
            count++;
        }
        return count;
    }
}

package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A driver that rewrites what it made available while we look: 134228ca39, 93ed2f49de, af584d21bf. */
class DoubleFetchTest {
    private static final long RUN_NANOS = 300_000_000;
    private static final long GOOD = 64;
    private static final int INDIRECT = 4;
    private static final int AVAIL = 1 << 7;

    /** Flips the second word of a descriptor between two values until the test is over. */
    private static void whileFlipping(
            final TestRing ring, final long word, final long one, final long other, final Runnable look)
            throws InterruptedException {
        final AtomicBoolean over = new AtomicBoolean();
        final Thread flipper = new Thread(() -> {
            while (!over.get()) {
                ring.memory.putLe64(word, one);
                ring.memory.putLe64(word, other);
            }
        });
        flipper.start();
        try {
            final long end = System.nanoTime() + RUN_NANOS;
            while (System.nanoTime() < end) {
                look.run();
            }
        } finally {
            over.set(true);
            flipper.join();
        }
    }

    /** Length and flags of the first descriptor, which in a packed ring is available. */
    private static long word(final TestRing ring, final long length, final int flags) {
        return length | (ring.features.packed() ? (AVAIL | (long) flags) << 48 : (long) flags << 32);
    }

    @ParameterizedTest
    @EnumSource(names = {"PLAIN", "PACKED"})
    void shouldJudgeAndUseOneLengthWhenDescriptorChangesMeanwhile_134228ca39(final RingFeatures features)
            throws InterruptedException {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            ring.offer(TestRing.HOLE - GOOD, GOOD);
            final int[] outcomes = new int[2];
            whileFlipping(
                    ring, ring.layout.descGpa() + 8, word(ring, GOOD, 0), word(ring, 0x1_0000_0000L - GOOD, 0), () -> {
                        ring.device.available(VringLayout.MAX_SIZE);
                        final BufferList chain = ring.newChain();
                        final RingFault fault = ring.append();
                        assertEquals(fault == null ? GOOD : 0, chain.bytes());
                        assertEquals(fault == null ? null : RingFault.BUFFER_UNMAPPED, fault);
                        outcomes[fault == null ? 0 : 1]++;
                    });
            assertTrue(outcomes[0] > 0 && outcomes[1] > 0, "the descriptor changed under our eyes");
        }
    }

    /** Flags and next come with the length: INDIRECT of the one value never meets the length of the other. */
    @ParameterizedTest
    @EnumSource(names = {"INDIRECT", "PACKED_INDIRECT"})
    void shouldJudgeFlagsTogetherWithLength(final RingFeatures features) throws InterruptedException {
        try (TestRing ring = TestRing.transmitq(8, features)) {
            final long table = ring.driver.writeTable(0, ring.buffers(ring.buffer, 10, ring.buffer + 10, 22));
            ring.offer(table, 33);
            final int[] outcomes = new int[2];
            whileFlipping(ring, ring.layout.descGpa() + 8, word(ring, 33, 0), word(ring, 32, INDIRECT), () -> {
                final BufferList chain = ring.newChain();
                ring.device.available(VringLayout.MAX_SIZE);
                final RingFault fault = ring.append();
                assertNull(fault, "length 33 with INDIRECT would be a broken ring");
                assertEquals(chain.bytes() == 33 ? 1 : 2, chain.pieces());
                outcomes[chain.pieces() - 1]++;
            });
            assertTrue(outcomes[0] > 0 && outcomes[1] > 0, "the descriptor changed under our eyes");
        }
    }
}

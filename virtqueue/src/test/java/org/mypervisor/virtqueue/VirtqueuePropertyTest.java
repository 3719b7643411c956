package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.SlowQueue;

/**
 * Our ring against a slow one written straight from virtio 1.2 §2.7 and §2.8: random chains, legal and malformed, must give the
 * same bytes or the same class of fault. A failure names its seed.
 */
class VirtqueuePropertyTest {
    private static final int SEEDS = 1500;
    /** A ring of 32 entries makes a chain of at most 32 buffers: below every limit of ours that the text does not have. */
    private static final int[] SIZES = {1, 2, 8, 32};

    private static final int[] PACKED_SIZES = {1, 2, 3, 5, 7, 8, 33, 100};

    private enum Verdict {
        GOOD,
        BAD_CHAIN,
        BAD_RING
    }

    @ParameterizedTest
    @EnumSource
    void shouldJudgeAsTheReferenceDoes(final RingFeatures features) {
        final Map<Verdict, Integer> seen = new EnumMap<>(Verdict.class);
        for (final int size : features.packed() ? PACKED_SIZES : SIZES) {
            for (final boolean writable : new boolean[] {false, true}) {
                try (TestRing ring =
                        writable ? TestRing.receiveq(size, features) : TestRing.transmitq(size, features)) {
                    final long table = ring.memory.allocate(16L * size, 16);
                    final Random random = new Random(size);
                    ring.memory.write(TestRing.BOUNDARY - 4096, noise(random, 8192));
                    ring.memory.write(TestRing.HOLE - 4096, noise(random, 4096));
                    for (int seed = 0; seed < SEEDS; seed++) {
                        run(ring, table, seed, seen);
                    }
                }
            }
        }
        for (final Verdict verdict : Verdict.values()) {
            assertTrue(seen.getOrDefault(verdict, 0) > 500, "the generator must give enough of each: " + seen);
        }
    }

    private static void run(final TestRing ring, final long table, final int seed, final Map<Verdict, Integer> seen) {
        final Random random = new Random(seed * 31L + ring.layout.size());
        ring.driver.reset();
        ring.restart();
        final SlowQueue reference = reference(ring, random);
        for (int step = 0; step < 12; step++) {
            final RandomChain chain = RandomChain.write(ring, table, random);
            if (chain == null) {
                return;
            }
            final int at = step;
            final Supplier<String> story = () -> "seed %d size %d %s writable=%b step %d %s"
                    .formatted(seed, ring.layout.size(), ring.features, ring.writable, at, chain);
            final Verdict verdict = judgeBoth(ring, reference, story);
            seen.merge(verdict, 1, Integer::sum);
            if (verdict == Verdict.BAD_RING || chain.isEndless()) {
                return;
            }
            final long used = ring.driver.usedWaiting();
            ring.completeNext(0);
            ring.device.publish();
            assertEquals(used + 1, ring.driver.usedWaiting(), story);
            assertEquals(reference.base() & 0xFFFF, ring.device.base() & 0xFFFF, story);
            if (random.nextBoolean()) {
                while (ring.driver.nextUsed()) {
                    // Frees descriptors, so that the next chains are made of others.
                }
            }
        }
    }

    /** A reference where the device stands; in a packed ring anywhere in its first lap or at the begin of the second. */
    private static SlowQueue reference(final TestRing ring, final Random random) {
        for (int i = ring.features.packed() ? random.nextInt(ring.layout.size() + 1) : 0; i > 0; i--) {
            ring.driver.addOne(TestRing.FIRST, 0, ring.writable);
            ring.driver.publish();
            ring.consume(0);
            ring.driver.nextUsed();
        }
        return SlowQueue.of(ring.memory, ring.layout, ring.features.mask, ring.device.base());
    }

    private static Verdict judgeBoth(final TestRing ring, final SlowQueue reference, final Supplier<String> story) {
        SlowQueue.Taken taken = null;
        Verdict expected = Verdict.BAD_RING;
        String why = null;
        try {
            taken = reference.take();
            final List<Buffer> wrongDirection = ring.writable ? taken.readable() : taken.writable();
            expected = taken.fault() == null && wrongDirection.isEmpty() ? Verdict.GOOD : Verdict.BAD_CHAIN;
            why = taken.fault();
        } catch (final SlowQueue.BrokenRing e) {
            why = e.getMessage();
        }
        assertEquals(1, ring.device.available(1), story);
        final BufferList chain = ring.newChain();
        final RingFault fault = ring.append();
        final String reasons = " (" + why + "), ours: " + fault;
        final Verdict verdict = expected;
        final Supplier<String> both = () -> story.get() + "\n  reference: " + verdict + reasons;
        assertEquals(expected, verdict(fault), both);
        assertEquals(expected == Verdict.BAD_RING, ring.device.fault() != null, both);
        if (expected == Verdict.GOOD) {
            assertArrayEquals(bytes(ring, taken), TestRing.bytes(chain), both);
        } else {
            assertEquals(0, chain.bytes(), both);
        }
        return expected;
    }

    private static Verdict verdict(final RingFault fault) {
        if (fault == null) {
            return Verdict.GOOD;
        }
        return fault.breaksRing() ? Verdict.BAD_RING : Verdict.BAD_CHAIN;
    }

    private static byte[] bytes(final TestRing ring, final SlowQueue.Taken taken) {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (final Buffer buffer : ring.writable ? taken.writable() : taken.readable()) {
            bytes.writeBytes(ring.memory.read(buffer.gpa(), (int) buffer.length()));
        }
        return bytes.toByteArray();
    }

    private static byte[] noise(final Random random, final int length) {
        final byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }
}

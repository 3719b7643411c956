package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;

/**
 * What a thread allocates. When HotSpot is asked to compile a method it first makes the String constants of the method's class
 * (CompileBroker::compile_method), on the thread that asks; so a round that compiles something is not counted against the code.
 */
final class Allocations {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final int MOST_ROUNDS = 6;
    /** More than the String constants of a few classes. */
    private static final long MOST_BYTES = 4096;

    private Allocations() {}

    /**
     * Repeats rounds until two of them running have not allocated a byte, and fails if that takes too many.
     *
     * @return how many rounds it were
     */
    static int assertNone(final long thread, final Runnable round) {
        final List<Long> allocated = new ArrayList<>();
        do {
            final long before = THREADS.getThreadAllocatedBytes(thread);
            round.run();
            allocated.add(THREADS.getThreadAllocatedBytes(thread) - before);
        } while (!endsQuietly(allocated) && allocated.size() < MOST_ROUNDS);
        final long sum = allocated.stream().mapToLong(Long::longValue).sum();
        assertTrue(endsQuietly(allocated) && sum <= MOST_BYTES, () -> "bytes of each round: " + allocated);
        return allocated.size();
    }

    private static boolean endsQuietly(final List<Long> allocated) {
        final int rounds = allocated.size();
        return rounds >= 2 && allocated.get(rounds - 1) == 0 && allocated.get(rounds - 2) == 0;
    }
}

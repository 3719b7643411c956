package org.mypervisor.integration;

import java.time.Duration;
import java.util.concurrent.Callable;

/** Waits for something that another process does. */
final class Waiting {
    private static final int PAUSE_MILLIS = 20;

    private Waiting() {}

    static void until(final String what, final Duration limit, final Callable<Boolean> condition)
            throws InterruptedException {
        final long deadline = System.nanoTime() + limit.toNanos();
        while (!holds(what, condition)) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("waited " + limit.toSeconds() + " s in vain: " + what);
            }
            Thread.sleep(PAUSE_MILLIS);
        }
    }

    private static boolean holds(final String what, final Callable<Boolean> condition) {
        try {
            return condition.call();
        } catch (final Exception e) {
            throw new AssertionError(what + ": " + e.getMessage(), e);
        }
    }
}

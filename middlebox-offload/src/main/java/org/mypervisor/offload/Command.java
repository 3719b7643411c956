package org.mypervisor.offload;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Something that a worker does for another thread, between turns. */
final class Command {
    /** How often a command is tried that memory faults of others interrupt. */
    static final int TRIES = 5;

    private static final int LOOK_MILLIS = 500;

    private final Runnable action;
    private final CountDownLatch ended = new CountDownLatch(1);
    private volatile Throwable failure;

    Command(final Runnable action) {
        this.action = action;
    }

    /** Worker thread. */
    void run() {
        action.run();
        ended.countDown();
    }

    /** Worker thread. */
    void fail(final Throwable why) {
        failure = why;
        ended.countDown();
    }

    /**
     * Waits for the end. An interrupt does not shorten the wait: the caller is about to unmap what the worker uses.
     *
     * @throws IllegalStateException when it was not done
     */
    void await(final Thread worker) {
        boolean interrupted = false;
        boolean done = false;
        while (!done) {
            try {
                done = ended.await(LOOK_MILLIS, TimeUnit.MILLISECONDS);
                if (!done && !worker.isAlive()) {
                    throw new IllegalStateException(worker.getName() + " has ended");
                }
            } catch (final InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        if (failure != null) {
            throw new IllegalStateException(worker.getName() + " could not do it", failure);
        }
    }
}

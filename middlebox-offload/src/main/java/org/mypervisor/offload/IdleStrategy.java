package org.mypervisor.offload;

import org.mypervisor.virtqueue.RunningQueue;

/** What a worker does when a turn found nothing to do. Used by the worker's thread, except {@link #wake}. */
interface IdleStrategy extends AutoCloseable {
    /** The last turn found work. */
    void worked();

    /** The last turn found none: whether it is time to sleep. If not, the worker polls on. */
    boolean isTimeToSleep();

    /** How long a busy driver's frame may wait for others: {@link Patience}. */
    long patienceNanos();

    /**
     * Sleeps until a driver kicks or somebody calls {@link #wake}. The drivers have been asked to kick.
     *
     * @param briefly when something has to be looked at again soon, kick or not
     */
    void sleep(boolean briefly);

    /** Ends a sleep, now or the next one. Any thread. */
    void wake();

    /** The worker got a transmitq: kicks of its driver end a sleep from now on. May be repeated. */
    void watchKick(RunningQueue vring, Port port);

    /** The worker gives a transmitq back. May be repeated. */
    void forgetKick(RunningQueue vring);

    /** After the worker's thread has ended. */
    @Override
    void close();
}

package org.mypervisor.virtqueue;

/**
 * A queue that a worker runs, with how it and the other side wake each other. While the worker has it, the worker alone
 * uses it.
 */
public interface RunningQueue {
    /** The queue itself. */
    BufferQueue queue();

    /**
     * Shows the other side all that was completed, and wakes it if it wants that. May be repeated after a memory fault.
     *
     * @return 1 when a driver was called, else 0
     */
    int publishAndCall();

    /** A descriptor that becomes readable when there is something in the queue; or -1, if it has to be polled. */
    int kickFd();
}

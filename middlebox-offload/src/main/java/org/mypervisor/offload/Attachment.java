package org.mypervisor.offload;

import java.io.IOException;
import org.mypervisor.vhostuser.Endpoint;

/** What a {@link Port} is attached to: a front-end's socket or an interface of the host. */
interface Attachment extends AutoCloseable {
    Port port();

    /** Begins to serve it; the worker runs. */
    void start();

    Endpoint.State state();

    /** The virtio features by which frames go, 0 while there are none. */
    long features();

    /** By which of several ways frames go, for people; empty when there is one only. */
    default String mode() {
        return "";
    }

    /** Frames that were there for us and that we had no room for, so far. */
    default long missed() {
        return 0;
    }

    /** Whether what it had to send, or could take, has come to its end. Any thread. */
    default boolean isDone() {
        return false;
    }

    /** Looks after it from time to time: logs and reports what the worker may not. Any thread but a worker's. */
    void watch();

    /** Gives the port up if somebody blocks the worker's notifications. Its own thread, which nothing else may hold up. */
    default void breakIfCallBlocked() {}

    /**
     * Breaks the port if its shared memory was cut short. Any thread but a worker's.
     *
     * @return true when it was found and broken now
     */
    default boolean breakIfCutShort() {
        return false;
    }

    /** Breaks the port because of its shared memory. Any thread but a worker's. */
    default void breakMemory(final String why) {}

    /** Stops the queues cleanly and leaves nothing behind. */
    @Override
    void close() throws IOException;
}

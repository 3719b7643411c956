package org.mypervisor.offload;

import org.mypervisor.vhostuser.Vring;

/** What a worker does when a turn found no frames. Used by the worker's thread, except {@link #wake}. */
interface IdleStrategy extends AutoCloseable {
    /** The last turn moved frames. */
    void worked();

    /** The last turn moved none. May sleep, until a driver kicks, somebody calls {@link #wake}, or a frame that waits
     * for a receive buffer is due for another try. */
    void idle(Wire[] wires);

    /** Ends a sleep, now or the next one. Any thread. */
    void wake();

    /** The worker got a transmitq: kicks of its driver end a sleep from now on. */
    void watchKick(Vring vring, Port port);

    /** The worker gives a transmitq back. */
    void forgetKick(Vring vring);

    /** After the worker's thread has ended. */
    @Override
    void close();
}

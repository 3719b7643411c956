package org.mypervisor.vhostuser;

import org.mypervisor.virtqueue.RingFault;

/**
 * Who runs the rings of one port. The session calls these methods from its own thread; each returns when the worker has
 * done what was asked, so that descriptors may be closed and memory unmapped afterwards. A method that throws has not done it: then neither may be touched.
 */
public interface DataPlane {
    /** From now on the worker owns this ring. It polls it once at once: the driver may not kick again. */
    void start(int index, Vring vring);

    /** The worker has finished its burst, published all that it completed, and will not touch the ring again. */
    void stop(int index);

    /**
     * Rings are about to stop and to start again at once: until {@link #release}, frames for this port wait where they come
     * from instead of being dropped.
     */
    void hold();

    /** The rings run again, or will not. */
    void release();

    /** A ring that is started but not enabled passes no frames; what the driver sends there is discarded. */
    void enable(int index, boolean enabled);

    /** Replaces the call eventfd of a started ring; null when the driver polls. */
    void setCall(int index, EventFd call);

    /**
     * Announces the guest to the far side of the port's path with a RARP frame. May come before any ring is started.
     *
     * @param mac 6 bytes
     */
    void announce(byte[] mac);

    /** A ring was given up: adds to the port's statistics. */
    void countFault(RingFault fault);
}

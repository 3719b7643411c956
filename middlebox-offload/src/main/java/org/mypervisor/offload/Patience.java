package org.mypervisor.offload;

import org.mypervisor.virtqueue.BufferQueue;

/**
 * Leaves a driver that is busy sending alone until it has a whole burst, for a few microseconds at most. A worker that is faster
 * than the driver would else take what is there as soon as it is: descriptors whose neighbours in the same cache line are being
 * written, so that the line goes there and back for a few frames each time. A driver with less to send is served at once.
 *
 * <p>One instance per wire, owned by its worker.
 */
final class Patience {
    /** Frames of a turn that make a driver a busy one. */
    private static final int BUSY = Wire.BURST / 2;

    /** A small ring is not left to fill: its driver has to go on meanwhile. */
    private static final int SHARE_OF_RING = 8;

    private final long nanos;
    private boolean waiting;

    /** When the driver had nothing, or was left without anything. */
    private long lastEmpty;

    /** @param nanos how long a frame may wait for others; 0 for never */
    Patience(final long nanos) {
        this.nanos = nanos;
    }

    /** Whether a driver that has something is to be left alone for now; not again before it was {@link #tookAll} once more. */
    boolean holdsBack(final BufferQueue from, final long now) {
        waiting = waiting && now - lastEmpty < nanos && !from.isAvailable(enough(from));
        return waiting;
    }

    private static int enough(final BufferQueue from) {
        return Math.max(1, Math.min(Wire.BURST, from.size() / SHARE_OF_RING));
    }

    /** The driver has nothing. */
    void foundNothing(final long now) {
        lastEmpty = now;
    }

    /** @param frames taken in the turn that ends, all there were or for which there were buffers */
    void tookAll(final int frames, final long now) {
        waiting = nanos != 0 && frames >= BUSY;
        lastEmpty = now;
    }
}

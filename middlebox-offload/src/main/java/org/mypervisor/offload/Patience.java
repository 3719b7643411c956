package org.mypervisor.offload;

import org.mypervisor.virtqueue.BufferQueue;

/**
 * Leaves frames of a driver that is busy sending in their ring until there are enough, for a few microseconds at most. A
 * worker that is faster than the driver would else take what is there as soon as it is: descriptors whose neighbours in the same
 * cache line are being written, so that the line goes there and back for a few frames each time. A driver that has less to send,
 * or waits for what it sent, is served at once.
 *
 * <p>One instance per wire, owned by its worker. Times are of {@link System#nanoTime}, when the worker began with its wires.
 */
final class Patience {
    /** Frames for which a turn is worth its while, and which drivers send at once. */
    private static final int ENOUGH = 32;

    /** Frames of a turn that make a driver a busy one. */
    private static final int BUSY = ENOUGH / 2;

    /** A small ring is not left to fill: its driver has to go on meanwhile. */
    private static final int SHARE_OF_RING = 8;

    /** A driver that had nothing for so long is no longer busy: several times what dpdk-testpmd takes from burst to burst. */
    private static final long CALM_NANOS = 50_000;

    /** Turns without waiting, after one that waited in vain: its driver may never have more than that in flight. */
    private static final int TURNS_WITHOUT = 64;

    private final long nanos;
    private boolean waiting;

    /** The driver has been left alone with something in its ring. */
    private boolean holding;

    private int without;
    private long lastTurn;

    /** When the driver had nothing, or the last turn was. */
    private long lastEmpty;

    /** @param nanos how long a frame may wait for others; 0 for never */
    Patience(final long nanos) {
        this.nanos = nanos;
    }

    /** Whether a driver that has something is left alone for now. */
    boolean holdsBack(final BufferQueue from, final long now) {
        if (!waiting) {
            return false;
        }
        if (!from.isAvailable(enough(from))) {
            if (now - lastEmpty < nanos) {
                holding = true;
                return true;
            }
            // Not when the last turn alone took longer.
            if (holding) {
                without = TURNS_WITHOUT;
            }
        }
        holding = false;
        waiting = false;
        return false;
    }

    private static int enough(final BufferQueue from) {
        return Math.max(1, Math.min(ENOUGH, from.size() / SHARE_OF_RING));
    }

    /** The driver has nothing. */
    void foundNothing(final long now) {
        lastEmpty = now;
        waiting = waiting && now - lastTurn < CALM_NANOS;
    }

    /** @param frames taken in the turn that ends, all there were or for which there were buffers */
    void tookAll(final int frames, final long now) {
        lastEmpty = now;
        lastTurn = now;
        if (without != 0) {
            without--;
        } else {
            waiting = nanos != 0 && frames >= BUSY;
        }
    }
}

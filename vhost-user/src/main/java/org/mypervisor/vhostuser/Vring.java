package org.mypervisor.vhostuser;

import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;
import org.mypervisor.virtqueue.Virtqueue;

/**
 * A started ring with its notifications, handed from the session to the worker that runs it.
 *
 * <p>While the worker has it, the worker alone uses it. The session closes the descriptors once the worker has let go.
 */
public final class Vring implements RunningQueue {
    private final Virtqueue queue;
    private final EventFd kick;
    private volatile EventFd call;
    private boolean callDue;

    /**
     * @param kick null when the front-end asks us to poll
     * @param call null when the driver polls
     */
    Vring(final Virtqueue queue, final EventFd kick, final EventFd call) {
        this.queue = queue;
        this.kick = kick;
        this.call = call;
    }

    @Override
    public Virtqueue queue() {
        return queue;
    }

    /** The kick eventfd, or -1 when the front-end asks us to poll. */
    @Override
    public int kickFd() {
        return kick == null ? -1 : kick.fd();
    }

    /** Replaces the call eventfd; executed by the worker, between bursts. */
    public void setCall(final EventFd newCall) {
        call = newCall;
        // A call that fell due while the descriptors changed must not be lost.
        if (newCall != null && queue.fault() == null) {
            newCall.signalIfFree();
        }
    }

    /** Whether the call eventfd's counter is full: a front-end did that in order to block us. Any thread. */
    public boolean isCallBlocked() {
        final EventFd present = call;
        return present != null && present.isFull();
    }

    /**
     * Frees a worker that waits in a call, where it can wait at all: without asynchronous I/O. The ring is broken, so it
     * will not call again. The thread that watches over calls.
     */
    public void freeCall() {
        final EventFd present = call;
        if (present != null) {
            present.drain();
        }
    }

    private int signalCall() {
        final EventFd present = call;
        if (present == null || queue.fault() == RingFault.CALL_BLOCKED) {
            return 0;
        }
        present.signal();
        return 1;
    }

    /**
     * Shows the driver all that was completed, and calls it if it wants that. Another ring's memory fault may interrupt
     * this anywhere; the next time then does what is left.
     *
     * @return 1 when the driver was called, else 0
     */
    @Override
    public int publishAndCall() {
        if (queue.hasUnpublished()) {
            callDue = true;
            queue.publish();
        }
        if (!callDue) {
            return 0;
        }
        final int made = queue.isCallNeeded() ? signalCall() : 0;
        queue.callDecided();
        callDue = false;
        return made;
    }
}

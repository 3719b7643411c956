package org.mypervisor.vhostuser;

import org.mypervisor.virtqueue.SplitVirtqueue;

/**
 * A started ring with its notifications, handed from the session to the worker that runs it.
 *
 * <p>While the worker has it, the worker alone uses it. The session closes the descriptors once the worker has let go.
 */
public final class Vring {
    private final SplitVirtqueue queue;
    private final EventFd kick;
    private EventFd call;
    private boolean callDue;

    /**
     * @param kick null when the front-end asks us to poll
     * @param call null when the driver polls
     */
    Vring(final SplitVirtqueue queue, final EventFd kick, final EventFd call) {
        this.queue = queue;
        this.kick = kick;
        this.call = call;
    }

    public SplitVirtqueue queue() {
        return queue;
    }

    /** The kick eventfd, or -1 when the front-end asks us to poll. */
    public int kickFd() {
        return kick == null ? -1 : kick.fd();
    }

    /** Replaces the call eventfd; executed by the worker, between bursts. */
    public void setCall(final EventFd newCall) {
        call = newCall;
        if (call != null) {
            // A call that fell due while the descriptors changed must not be lost.
            call.signal();
        }
    }

    /**
     * Shows the driver all that was completed, and calls it if it wants that. Another ring's memory fault may interrupt
     * this anywhere; the next time then does what is left.
     *
     * @return 1 when the driver was called, else 0
     */
    public int publishAndCall() {
        if (queue.hasUnpublished()) {
            callDue = true;
            queue.publish();
        }
        if (!callDue) {
            return 0;
        }
        int calls = 0;
        if (queue.isCallNeeded() && call != null) {
            call.signal();
            calls = 1;
        }
        queue.callDecided();
        callDue = false;
        return calls;
    }
}

package org.mypervisor.vhostuser;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.Virtqueue;

/**
 * A started ring with its notifications, handed from the session to the worker that runs it.
 *
 * <p>While the worker has it, the worker alone uses it. The session closes the descriptors once the worker has let go.
 */
public final class Vring {
    private static final VarHandle CALLS = callsHandle();

    private final Virtqueue queue;
    private final EventFd kick;
    private EventFd call;
    private boolean callDue;
    /** Through CALLS where another thread looks. */
    private int calls;

    private int lastSeenCalls;

    /**
     * @param kick null when the front-end asks us to poll
     * @param call null when the driver polls
     */
    Vring(final Virtqueue queue, final EventFd kick, final EventFd call) {
        this.queue = queue;
        this.kick = kick;
        this.call = call;
    }

    private static VarHandle callsHandle() {
        try {
            return MethodHandles.lookup().findVarHandle(Vring.class, "calls", int.class);
        } catch (final ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    public Virtqueue queue() {
        return queue;
    }

    /** The kick eventfd, or -1 when the front-end asks us to poll. */
    public int kickFd() {
        return kick == null ? -1 : kick.fd();
    }

    /** Replaces the call eventfd; executed by the worker, between bursts. */
    public void setCall(final EventFd newCall) {
        call = newCall;
        // A call that fell due while the descriptors changed must not be lost.
        signalCall();
    }

    /**
     * Frees a worker that has been stuck in a call since the last time this was asked: a front-end can fill the counter
     * of its eventfd and make it blocking. The ring is given up. The thread that watches over calls.
     */
    public void freeStuckCall() {
        final int now = (int) CALLS.getAcquire(this);
        final EventFd stuck = call;
        if ((now & 1) != 0 && now == lastSeenCalls && stuck != null) {
            queue.breakRing(RingFault.CALL_BLOCKED);
            stuck.drain();
        }
        lastSeenCalls = now;
    }

    /** The count of begun and ended calls is odd while one is under way. */
    private int signalCall() {
        if (call == null) {
            return 0;
        }
        CALLS.setRelease(this, calls + 1);
        call.signal();
        CALLS.setRelease(this, calls + 1);
        return 1;
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
        final int made = queue.isCallNeeded() ? signalCall() : 0;
        queue.callDecided();
        callDue = false;
        return made;
    }
}

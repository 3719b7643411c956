package org.mypervisor.vhostuser;

import org.mypervisor.virtqueue.RingFault;

/**
 * What the front-end has said about one ring so far, and the ring itself once it is started; vhost-user specification,
 * section "Ring states". Owned by the session.
 */
final class VringState implements AutoCloseable {
    int size;
    boolean addressed;
    long descUva;
    long availUva;
    long usedUva;
    int base;
    /** The ring was started on this connection: since then the front-end's base comes from us, or from a fresh driver. */
    boolean startedBefore;

    /** A kick message came since the last stop, with or without a descriptor. */
    boolean kicked;

    boolean enabled;
    EventFd kick;
    EventFd call;
    EventFd err;
    /** The started ring, or null. */
    Vring vring;
    /** The fault that was already reported for {@link #vring}. */
    RingFault reported;

    /** It could not start with what is known; only a new message about it is a reason to try again. */
    boolean startFailed;

    boolean isReady() {
        return kicked && addressed && size != 0 && vring == null && !startFailed;
    }

    /** A kick message came: the ring may start. */
    void replaceKick(final EventFd newKick) {
        close(kick);
        kick = newKick;
        kicked = true;
    }

    /** Forgets what each start sends anew. */
    void forgetNotifications() {
        close(kick);
        close(call);
        kick = null;
        call = null;
        kicked = false;
    }

    @Override
    public void close() {
        forgetNotifications();
        close(err);
        err = null;
    }

    static void close(final EventFd fd) {
        if (fd != null) {
            fd.close();
        }
    }
}

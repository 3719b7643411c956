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

    boolean isReady() {
        return kicked && addressed && size != 0 && vring == null;
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

    private static void close(final EventFd fd) {
        if (fd != null) {
            fd.close();
        }
    }
}

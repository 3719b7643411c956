package org.mypervisor.vhostuser;

import org.mypervisor.virtqueue.Virtqueue;

/** Rings as a session hands them to a worker when neither side wants to be notified. */
public final class PolledVring {
    private PolledVring() {}

    public static Vring of(final Virtqueue queue) {
        return new Vring(queue, null, null);
    }
}

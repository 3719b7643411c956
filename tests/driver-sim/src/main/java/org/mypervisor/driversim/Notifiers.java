package org.mypervisor.driversim;

/**
 * The eventfds of one virtqueue: kick (driver to device) and call (device to driver). Owns them until {@link #close()}.
 */
public final class Notifiers implements AutoCloseable {
    private EventFd kick = EventFd.create(0);
    private EventFd call = EventFd.create(0);

    public EventFd kick() {
        return kick;
    }

    public EventFd call() {
        return call;
    }

    /**
     * New kick and call eventfds, as front-ends make them for each start.
     *
     * @param kickInitial counter of the new kick: QEMU starts at 1, virtio-user at 0
     */
    public void renew(final int kickInitial) {
        kick.close();
        call.close();
        kick = EventFd.create(kickInitial);
        call = EventFd.create(0);
    }

    @Override
    public void close() {
        kick.close();
        call.close();
    }
}

package org.mypervisor.offload.host;

import java.io.IOException;
import java.util.List;
import org.mypervisor.offload.gso.OffloadRequest;
import org.mypervisor.virtqueue.RunningQueue;
import org.mypervisor.virtqueue.VirtioFeatures;

/**
 * An interface of the host as a port: how its queues are opened and closed, and how it is now.
 *
 * <p>One thread at a time, except {@link #features}.
 */
public abstract class HostInterface {
    /** What the kernel may leave to us. */
    static final long RECEIVED = OffloadRequest.HOST_OFFLOADS;

    /** What we may leave to the kernel. */
    static final long SENT = VirtioFeatures.mask(
            VirtioFeatures.VIRTIO_NET_F_GUEST_CSUM,
            VirtioFeatures.VIRTIO_NET_F_GUEST_TSO4,
            VirtioFeatures.VIRTIO_NET_F_GUEST_TSO6,
            VirtioFeatures.VIRTIO_NET_F_GUEST_ECN);

    /** The same, since Linux 6.2. */
    static final long SENT_USO =
            VirtioFeatures.mask(VirtioFeatures.VIRTIO_NET_F_GUEST_USO4, VirtioFeatures.VIRTIO_NET_F_GUEST_USO6);

    /** How the interface is. */
    public enum State {
        /** Up, and with a carrier. */
        UP,
        DOWN,
        /** There is none of this name, or it is another one than the queues were opened on. */
        GONE
    }

    private static final int NONE = 0;

    private final String name;
    private Losses losses;
    private volatile int openedIndex = NONE;

    HostInterface(final String name) {
        this.name = name;
    }

    public final String name() {
        return name;
    }

    /** Who counts what the kernel refused. Before the first {@link #open}. */
    public final void setLosses(final Losses newLosses) {
        losses = newLosses;
    }

    final Losses losses() {
        return losses;
    }

    /** How it is now, and whether it still is the one on which queues were opened. */
    public final State state() {
        final String now = presentName();
        final int index = NetDevice.index(now);
        if (isOpen() && openedIndex != index && isElsewhere()) {
            return State.UP;
        }
        if (index == NONE || isOpen() && openedIndex != index) {
            return State.GONE;
        }
        return NetDevice.isRunning(now) ? State.UP : State.DOWN;
    }

    /** What it is called now, if that can change while its queues are open. */
    String presentName() {
        return name;
    }

    /** Whether its queues are open. */
    public final boolean isOpen() {
        return openedIndex != NONE;
    }

    /** Its MTU in bytes, or 0 when it is not there. */
    public final int mtu() {
        return NetDevice.mtu(presentName());
    }

    /** As {@link #mtu}; from now on the open queues know it. */
    public final int followMtu() {
        final int mtu = mtu();
        if (mtu != 0) {
            mtuIs(mtu);
        }
        return mtu;
    }

    /**
     * Opens its queues.
     *
     * @return for each pair the queue that takes frames and the one that has them, in this order
     * @throws IOException when that is not possible, with the reason and the cure; nothing is open then
     */
    public final List<RunningQueue> open() throws IOException {
        try {
            final List<RunningQueue> queues = openQueues();
            openedIndex = NetDevice.index(name);
            return queues;
        } catch (final IOException e) {
            closeQueues();
            throw e;
        }
    }

    /** Closes the queues, which nobody uses any more. */
    public final void close() {
        openedIndex = NONE;
        closeQueues();
    }

    /** Finds out whether it can be a port at all. Opens nothing that stays, unless {@link #opensWhileDown}. */
    public abstract void check() throws IOException;

    /** Whether queues are there also while the interface is down. */
    public abstract boolean opensWhileDown();

    /** Whether it was moved to another network namespace with our queues, where we cannot see how it is. */
    boolean isElsewhere() {
        return false;
    }

    /** The offloads by which frames go, as virtio features. Any thread. */
    public abstract long features();

    abstract List<RunningQueue> openQueues() throws IOException;

    abstract void closeQueues();

    /** By which of several ways frames go, for people; empty when there is one only, or none now. Any thread. */
    public String mode() {
        return "";
    }

    /** What whoever runs it should know of how its queues were opened last, one line each. */
    public List<String> remarks() {
        return List.of();
    }

    /** The MTU is looked at while the queues are open: it may have changed. */
    void mtuIs(final int mtu) {}

    /** Whether the open queues have room for frames of this MTU; else they have to be opened anew. */
    boolean hasRoomFor(final int mtu) {
        return true;
    }

    /** Whether its MTU has outgrown the queues that are open. */
    public final boolean isOutgrown() {
        return isOpen() && !hasRoomFor(mtu());
    }

    /** Frames that the kernel had for us and no room to leave, since the last call. While it is open. */
    public long takeMissed() {
        return 0;
    }

    /** The first words of every error. */
    final IOException error(final String why) {
        return new IOException("interface " + name + ": " + why);
    }
}

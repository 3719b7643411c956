package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import jnr.constants.platform.Errno;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * Any Ethernet interface, through XDP sockets: what arrives on the chosen queues comes to us instead of to the host, before the
 * host has seen it; what we send leaves through it. One socket a queue. Its frames carry no offload requests: what is sent has
 * to be complete, what is received is as it came.
 *
 * @see <a href="https://docs.kernel.org/networking/af_xdp.html">the kernel's documentation</a>
 */
public final class XdpInterface extends HostInterface {
    /** Whether frames are copied between the NIC's memory and ours. */
    public enum Copying {
        /** Only if the driver knows no other way. */
        AUTO,
        ALWAYS,
        NEVER
    }

    /** Ethernet header and one tag, which the kernel allows for on top of the MTU. */
    private static final int FRAME_HEADERS = 18;

    /** A socket that was closed lets go of its queue a little later, when the kernel gets to it. */
    private static final long RELEASE_NANOS = 500_000_000;

    private static final long RETRY_NANOS = 10_000_000;

    private final int firstQueue;
    private final int queues;
    private final Copying copying;
    private final XdpProgram program = new XdpProgram();
    private final List<XdpSocket> sockets = new ArrayList<>();
    private final List<XdpSender> senders = new ArrayList<>();
    private int promiscuous = -1;
    private volatile String mode = "";
    private List<String> remarks = List.of();

    /** @param firstQueue of the interface, with those that follow it up to the number of queues */
    public XdpInterface(final String name, final int firstQueue, final int queues, final Copying copying) {
        super(name);
        this.firstQueue = firstQueue;
        this.queues = queues;
        this.copying = copying;
    }

    @Override
    public void check() throws IOException {
        if (NetDevice.index(name()) == 0) {
            throw error("is not there; 'ip link' lists those there are");
        }
        if (!NetDevice.isEthernet(name())) {
            throw error("its frames have no Ethernet headers");
        }
        checkMtu();
        // A socket on a queue that has only one of the two directions would wait for ever in the other.
        final int there = Math.min(NetDevice.receiveQueues(name()), NetDevice.sendQueues(name()));
        if (there != 0 && firstQueue + queues > there) {
            throw error("there is no queue " + (firstQueue + queues - 1) + ": it has " + there
                    + " to receive and to send, counted from 0 ('ethtool -l " + name()
                    + "'; 'ethtool -L' may give it more)");
        }
        // Down or not: what may not be done is known before it is to be done.
        try {
            new XdpSocket(mtu()).close();
            program.load(1);
        } catch (final XdpRefusedException e) {
            throw refused(e);
        } finally {
            program.close();
        }
    }

    private void checkMtu() throws IOException {
        if (mtu() > XdpSocket.maxMtu()) {
            throw error(
                    "its MTU " + mtu() + " is too big for a page, which a frame of an XDP socket has to fit: at most "
                            + XdpSocket.maxMtu() + " (ip link set " + name() + " mtu " + XdpSocket.maxMtu() + ")");
        }
    }

    private IOException refused(final XdpRefusedException why) {
        final String missing = Capability.missing(Capability.NET_RAW, Capability.NET_ADMIN, Capability.BPF);
        return error(
                missing.isEmpty()
                        ? why.getMessage()
                        : "XDP sockets need CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF; missing here: " + missing
                                + " (run as root, or give them to the JVM with setcap)");
    }

    @Override
    public boolean opensWhileDown() {
        return false;
    }

    @Override
    public long features() {
        return 0;
    }

    @Override
    public String mode() {
        return isOpen() ? mode : "";
    }

    @Override
    public List<String> remarks() {
        return remarks;
    }

    @Override
    List<RunningQueue> openQueues() throws IOException {
        checkMtu();
        final int index = NetDevice.index(name());
        try {
            program.load(firstQueue + queues);
            final List<String> found = new ArrayList<>();
            final boolean isNative = attach(index, found);
            final List<RunningQueue> made = new ArrayList<>();
            for (int queue = firstQueue; queue < firstQueue + queues; queue++) {
                final XdpSocket socket = new XdpSocket(mtu());
                sockets.add(socket);
                socket.prepare();
                bind(socket, index, queue, isNative);
                program.redirect(queue, socket.fd());
                final XdpSender sender = new XdpSender(socket, losses());
                senders.add(sender);
                made.add(new HostQueue(sender, -1));
                made.add(new HostQueue(new XdpReceiver(socket, sender), socket.fd()));
            }
            promiscuous = PacketInterface.promiscuousSocket(index);
            mtuIs(mtu());
            mode = (isNative ? "native" : "generic") + " XDP, "
                    + (sockets.get(0).isZeroCopy() ? "zero-copy" : "copy");
            Peer.remark(name(), index, found);
            remarkOtherQueues(found);
            remarks = found;
            return made;
        } catch (final XdpRefusedException e) {
            throw refused(e);
        }
    }

    /** By the driver, or else by the kernel for it; true for the driver. */
    private boolean attach(final int index, final List<String> found) throws IOException {
        int errno = program.attach(index, XdpProgram.XDP_FLAGS_DRV_MODE);
        if (errno == 0) {
            return true;
        }
        final String why = Libc.lastError();
        if (!isTaken(errno)) {
            errno = program.attach(index, XdpProgram.XDP_FLAGS_SKB_MODE);
        }
        if (isTaken(errno)) {
            throw error("another XDP program is attached to it ('ip link show dev " + name()
                    + "' shows it; 'ip link set dev " + name() + " xdp off' takes it off, unless its owner runs)");
        }
        if (errno != 0) {
            throw new XdpRefusedException("an XDP program cannot be attached: " + Libc.lastError());
        }
        found.add("native XDP is refused (" + why + "), so it is generic, which costs more");
        return false;
    }

    private static boolean isTaken(final int errno) {
        return errno == Errno.EBUSY.intValue() || errno == Errno.EEXIST.intValue();
    }

    private void bind(final XdpSocket socket, final int index, final int queue, final boolean isNative)
            throws IOException {
        if (copying == Copying.NEVER && !isNative) {
            throw error("without native XDP there is no zero-copy; take mode=auto or mode=copy");
        }
        final int mode =
                switch (copying) {
                    case AUTO -> isNative ? 0 : XdpSocket.XDP_COPY;
                    case ALWAYS -> XdpSocket.XDP_COPY;
                    case NEVER -> XdpSocket.XDP_ZEROCOPY;
                };
        final int errno = bindOnceFree(socket, index, queue, mode);
        if (errno == 0) {
            return;
        }
        final String why = Libc.lastError();
        if (errno == Errno.EBUSY.intValue()) {
            throw error("another XDP socket has its queue " + queue);
        }
        if (errno == Errno.EINVAL.intValue() && copying != Copying.NEVER) {
            throw error("there is no queue " + queue);
        }
        throw error(
                copying == Copying.NEVER
                        ? "its driver " + NetDevice.driver(name()) + " has no zero-copy (" + why
                                + "); take mode=auto or mode=copy"
                        : "queue " + queue + " cannot be bound to: " + why);
    }

    private static int bindOnceFree(final XdpSocket socket, final int index, final int queue, final int mode) {
        final long begin = System.nanoTime();
        int errno = socket.bind(index, queue, mode);
        while (errno == Errno.EBUSY.intValue() && System.nanoTime() - begin < RELEASE_NANOS) {
            LockSupport.parkNanos(RETRY_NANOS);
            errno = socket.bind(index, queue, mode);
        }
        return errno;
    }

    private void remarkOtherQueues(final List<String> found) {
        final int there = NetDevice.receiveQueues(name());
        if (there > queues) {
            found.add("it has " + there
                    + " queues, and what arrives on others than those of this port is the host's ("
                    + (firstQueue == 0
                            ? "queues=" + there + ", or ethtool -L " + name() + " combined " + queues
                            : "queue=0,queues=" + there + " takes them all")
                    + ")");
        }
    }

    @Override
    void mtuIs(final int mtu) {
        senders.forEach(sender -> sender.limit(mtu + FRAME_HEADERS));
    }

    @Override
    boolean hasRoomFor(final int mtu) {
        return sockets.stream().allMatch(socket -> socket.hasRoomFor(mtu));
    }

    @Override
    public long takeMissed() {
        return sockets.stream().mapToLong(XdpSocket::takeMissed).sum();
    }

    @Override
    void closeQueues() {
        program.close();
        sockets.forEach(XdpSocket::close);
        if (promiscuous >= 0) {
            LIBC.close(promiscuous);
            promiscuous = -1;
        }
        senders.clear();
        sockets.clear();
    }
}

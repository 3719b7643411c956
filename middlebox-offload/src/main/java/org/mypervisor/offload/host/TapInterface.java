package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;
import static org.mypervisor.vhostuser.Libc.POSIX_CALLS;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import jnr.constants.platform.OpenFlags;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * A tap: what the host sends to it we receive, what we send the host receives from it. One that is there is attached to, else
 * it is made, set up, and gone when we are.
 *
 * @see <a href="https://docs.kernel.org/networking/tuntap.html">the kernel's documentation</a>
 */
public final class TapInterface extends HostInterface {
    private static final String CLONE_DEVICE = "/dev/net/tun";

    private static final long TUNSETIFF = 0x400454caL;
    private static final long TUNGETIFF = 0x800454d2L;
    private static final long TUNSETOFFLOAD = 0x400454d0L;
    private static final long TUNSETVNETHDRSZ = 0x400454d8L;

    private static final int IFF_TAP = 2;
    private static final int IFF_MULTI_QUEUE = 0x100;
    private static final int IFF_NO_PI = 0x1000;
    private static final int IFF_VNET_HDR = 0x4000;

    /** CSUM, TSO4, TSO6, TSO_ECN. */
    private static final int TUN_F_ALL = 0xF;

    /** USO4, USO6: Linux 6.2. */
    private static final int TUN_F_USO = 0x60;

    private static final int NET_HDR_SIZE = 10;

    private final int queues;
    private final boolean offloads;
    private final int mtu;
    private final List<Integer> fds = new ArrayList<>();
    private final List<TapReader> readers = new ArrayList<>();
    private final List<TapWriter> writers = new ArrayList<>();
    private boolean ours;
    private volatile long features;

    /** @param mtu to be set, or 0 to leave it as it is */
    public TapInterface(final String name, final int queues, final boolean offloads, final int mtu) {
        super(name);
        this.queues = queues;
        this.offloads = offloads;
        this.mtu = mtu;
    }

    @Override
    public void check() throws IOException {
        ours = NetDevice.index(name()) == 0;
    }

    @Override
    public boolean opensWhileDown() {
        return true;
    }

    @Override
    public long features() {
        return features;
    }

    @Override
    List<RunningQueue> openQueues() throws IOException {
        if (!ours && NetDevice.index(name()) == 0) {
            throw error("is not there");
        }
        int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (queues > 1 ? IFF_MULTI_QUEUE : 0);
        for (int i = 0; i < queues; i++) {
            final int fd = POSIX_CALLS.open(
                    CLONE_DEVICE, OpenFlags.O_RDWR.intValue() | OpenFlags.O_NONBLOCK.intValue() | Libc.O_CLOEXEC, 0);
            if (fd < 0) {
                throw error("cannot open " + CLONE_DEVICE + ": " + Libc.lastError()
                        + "; is the module there (modprobe tun), and may we use it?");
            }
            fds.add(fd);
            int errno = attach(fd, flags);
            if (errno == Errno.EINVAL.intValue() && queues == 1) {
                // One that was made for several queues has to be told so even for one.
                flags |= IFF_MULTI_QUEUE;
                errno = attach(fd, flags);
            }
            if (errno != 0) {
                throw error(reason(errno));
            }
        }
        final long agreed = negotiate();
        // To set what it is already would need a capability for nothing.
        if (mtu != 0 && mtu != NetDevice.mtu(name())) {
            NetDevice.setMtu(name(), mtu);
        }
        if (ours) {
            NetDevice.setUp(name());
        }
        final List<RunningQueue> made = new ArrayList<>();
        for (final int fd : fds) {
            final TapWriter writer = new TapWriter(fd, agreed, losses());
            final TapReader reader = new TapReader(fd, agreed);
            writers.add(writer);
            readers.add(reader);
            made.add(new HostQueue(writer, -1));
            made.add(new HostQueue(reader, fd));
        }
        features = agreed;
        return made;
    }

    /** It stays attached when it is renamed. */
    @Override
    String presentName() {
        final String now = isOpen() ? attachedName() : "";
        return now.isEmpty() ? name() : now;
    }

    @Override
    boolean isElsewhere() {
        return !attachedName().isEmpty();
    }

    /** The name of the interface behind our queues, wherever it is; empty when there is none any more. */
    private String attachedName() {
        final long request = NetDevice.request("");
        LIBC.ioctl(fds.get(0), TUNGETIFF, request);
        final String found = NetDevice.name(request);
        RawMemory.free(request, NetDevice.IFREQ_SIZE);
        return found;
    }

    /** 0, or why not. */
    private int attach(final int fd, final int flags) {
        final long request = NetDevice.request(name());
        RawMemory.putLe16(request + NetDevice.IFREQ_VALUE_OFFSET, flags);
        final int result = LIBC.ioctl(fd, TUNSETIFF, request);
        RawMemory.free(request, NetDevice.IFREQ_SIZE);
        return result == 0 ? 0 : Libc.lastErrno();
    }

    private String reason(final int errno) {
        if (errno == Errno.EPERM.intValue()) {
            return "a tap can be made or attached to with CAP_NET_ADMIN only; or have it made for this user:"
                    + " ip tuntap add " + name() + " mode tap" + (queues > 1 ? " multi_queue" : "") + " user NAME";
        }
        if (errno == Errno.EBUSY.intValue()) {
            return "another process is attached to it";
        }
        if (errno == Errno.EINVAL.intValue()) {
            return "it is there, but is no tap"
                    + (queues > 1 ? " for several queues (ip tuntap add NAME mode tap multi_queue)" : "");
        }
        return POSIX_CALLS.strerror(errno);
    }

    /** Says what the kernel may leave to us; returns that, and what it takes, as features. */
    private long negotiate() throws IOException {
        final long size = RawMemory.allocate(Integer.BYTES);
        RawMemory.putLe32(size, NET_HDR_SIZE);
        try {
            boolean uso = offloads;
            for (final int fd : fds) {
                LIBC.ioctl(fd, TUNSETVNETHDRSZ, size);
                uso = uso && LIBC.ioctl(fd, TUNSETOFFLOAD, TUN_F_ALL | TUN_F_USO) == 0;
                if (!uso && LIBC.ioctl(fd, TUNSETOFFLOAD, offloads ? TUN_F_ALL : 0) != 0) {
                    throw error("its offloads cannot be set: " + Libc.lastError());
                }
            }
            return offloads ? RECEIVED | SENT | (uso ? SENT_USO : 0) : 0;
        } finally {
            RawMemory.free(size, Integer.BYTES);
        }
    }

    @Override
    void closeQueues() {
        readers.forEach(TapReader::free);
        writers.forEach(TapWriter::free);
        fds.forEach(LIBC::close);
        readers.clear();
        writers.clear();
        fds.clear();
    }
}

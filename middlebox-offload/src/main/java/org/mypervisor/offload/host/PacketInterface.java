package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import jnr.ffi.Pointer;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * Any Ethernet interface, through packet sockets: all frames that arrive there, whoever they are for, come to us as well as to
 * the host; what we send leaves through it. One socket a queue; the kernel spreads flows over several.
 *
 * @see <a href="https://man7.org/linux/man-pages/man7/packet.7.html">packet(7)</a>
 */
public final class PacketInterface extends HostInterface {
    private static final int AF_PACKET = 17;
    private static final int SOCK_RAW = 3;
    private static final int ETH_P_ALL_NETWORK_ORDER = 0x0300;
    /** Nothing is received. */
    private static final int NO_PROTOCOL = 0;

    private static final int SOL_SOCKET = 1;
    private static final int SO_SNDBUF = 7;
    private static final int SO_RCVBUF = 8;
    private static final int SO_SNDBUFFORCE = 32;
    private static final int SO_RCVBUFFORCE = 33;

    private static final int SOL_PACKET = 263;
    private static final int PACKET_ADD_MEMBERSHIP = 1;
    private static final int PACKET_RX_RING = 5;
    private static final int PACKET_STATISTICS = 6;
    private static final int PACKET_COPY_THRESH = 7;
    private static final int PACKET_VERSION = 10;
    private static final int PACKET_VNET_HDR = 15;
    private static final int PACKET_FANOUT = 18;
    private static final int PACKET_IGNORE_OUTGOING = 23;

    private static final int TPACKET_V2 = 1;
    private static final int PACKET_MR_PROMISC = 1;
    private static final int PACKET_FANOUT_HASH = 0;
    private static final int PACKET_FANOUT_FLAG_UNIQUEID = 0x2000;

    /** struct sockaddr_ll { u16 family; u16 protocol; int ifindex; … } */
    private static final int ADDRESS_SIZE = 20;

    /** struct packet_mreq { int ifindex; u16 type; u16 alen; u8 address[8]; } */
    private static final int MEMBERSHIP_SIZE = 16;

    /**
     * What the kernel puts in front of a frame in its slot: its own header, an address, the virtio-net header, and what aligns
     * them; and room for one tag.
     */
    private static final int SLOT_HEADERS = 96;

    /** Ethernet header and two tags. */
    private static final int FRAME_HEADERS = 22;

    private static final int CACHE_LINE = 64;

    /** At least 1,024 slots: a millisecond's worth of 64-byte frames at a rate that one worker can take. */
    private static final int BLOCKS = 64;

    private static final int MIN_SLOTS_PER_BLOCK = 16;
    private static final int PAGE = 4096;

    /** Of long frames that are not received yet, as the kernel counts them. */
    private static final int RECEIVE_BUFFER = 16 << 20;

    /** Frames that a driver of the host may hold back before it has sent them. */
    private static final int SEND_BUFFER = 8 << 20;

    private final int queues;
    private final boolean offloads;
    private final List<Integer> sockets = new ArrayList<>();
    private final List<Integer> sendSockets = new ArrayList<>();
    /** Addresses of the mapped rings, all of the same size. */
    private final List<Long> maps = new ArrayList<>();

    private long mapSize;
    private final List<PacketRing> rings = new ArrayList<>();
    private final List<PacketSender> senders = new ArrayList<>();

    public PacketInterface(final String name, final int queues, final boolean offloads) {
        super(name);
        this.queues = queues;
        this.offloads = offloads;
    }

    @Override
    public void check() throws IOException {
        if (NetDevice.index(name()) == 0) {
            throw error("is not there; 'ip link' lists those there are");
        }
        if (!NetDevice.isEthernet(name())) {
            throw error("its frames have no Ethernet headers");
        }
        LIBC.close(socket());
    }

    @Override
    public boolean opensWhileDown() {
        return false;
    }

    @Override
    public long features() {
        return isOpen() ? negotiated() : 0;
    }

    /** What arrives may be unfinished whatever we say; what leaves is as it is wanted. */
    private long negotiated() {
        final String[] release = System.getProperty("os.version", "0").split("[^0-9]+");
        final int kernel =
                Integer.parseInt(release[0]) * 1000 + (release.length > 1 ? Integer.parseInt(release[1]) : 0);
        return offloads ? RECEIVED | SENT | (kernel >= 6002 ? SENT_USO : 0) : RECEIVED;
    }

    private int socket() throws IOException {
        final int socket = LIBC.socket(AF_PACKET, SOCK_RAW | Libc.SOCK_CLOEXEC | Libc.SOCK_NONBLOCK, 0);
        if (socket < 0) {
            final int errno = Libc.lastErrno();
            throw error(
                    errno == Errno.EPERM.intValue()
                            ? "packet sockets need CAP_NET_RAW (run as root, or: setcap cap_net_raw+ep on the JVM)"
                            : "cannot make a packet socket: " + Libc.lastError());
        }
        return socket;
    }

    @Override
    List<RunningQueue> openQueues() throws IOException {
        final List<RunningQueue> made = new ArrayList<>();
        int group = 0;
        for (int i = 0; i < queues; i++) {
            final int socket = socket();
            sockets.add(socket);
            set(socket, "PACKET_VERSION", PACKET_VERSION, TPACKET_V2);
            set(socket, "PACKET_VNET_HDR", PACKET_VNET_HDR, 1);
            set(socket, "PACKET_IGNORE_OUTGOING (Linux 4.20)", PACKET_IGNORE_OUTGOING, 1);
            set(socket, "PACKET_COPY_THRESH", PACKET_COPY_THRESH, 1);
            enlarge(socket, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
            final PacketRing ring = new PacketRing(socket, mapRing(socket), negotiated());
            rings.add(ring);
            bind(socket, ETH_P_ALL_NETWORK_ORDER);
            receiveAll(socket);
            if (queues > 1) {
                group = join(socket, group);
            }
            final PacketSender sender = new PacketSender(sendSocket(socket), negotiated(), losses());
            senders.add(sender);
            made.add(new HostQueue(sender, -1));
            made.add(new HostQueue(ring, socket));
        }
        return made;
    }

    /**
     * Frames leave by a socket of their own, which receives nothing: for each frame that the kernel is done with, it wakes
     * whoever polls the socket that sent it, and a worker polls the one that receives. But a group of sockets is given what
     * leaves, whatever its members asked for, unless one of them sent it: then each sends for itself.
     */
    private int sendSocket(final int receiving) throws IOException {
        if (queues > 1) {
            enlarge(receiving, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
            return receiving;
        }
        final int socket = socket();
        sendSockets.add(socket);
        set(socket, "PACKET_VNET_HDR", PACKET_VNET_HDR, 1);
        enlarge(socket, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
        bind(socket, NO_PROTOCOL);
        return socket;
    }

    private void set(final int socket, final String what, final int option, final long value) throws IOException {
        final long memory = RawMemory.allocate(Integer.BYTES);
        RawMemory.putLe32(memory, value);
        final int result = LIBC.setsockopt(socket, SOL_PACKET, option, memory, Integer.BYTES);
        RawMemory.free(memory, Integer.BYTES);
        if (result != 0) {
            throw error(what + ": " + Libc.lastError());
        }
    }

    /** As far as we may: only CAP_NET_ADMIN goes beyond net.core.wmem_max and rmem_max. */
    private static void enlarge(final int socket, final int forced, final int asked, final int bytes) {
        final long memory = RawMemory.allocate(Integer.BYTES);
        RawMemory.putLe32(memory, bytes);
        if (LIBC.setsockopt(socket, SOL_SOCKET, forced, memory, Integer.BYTES) != 0) {
            LIBC.setsockopt(socket, SOL_SOCKET, asked, memory, Integer.BYTES);
        }
        RawMemory.free(memory, Integer.BYTES);
    }

    /** An odd number of cache lines, so that the heads of the slots do not all fall into the same few sets of the cache. */
    private int slotSize() {
        final int lines = (SLOT_HEADERS + FRAME_HEADERS + mtu() + CACHE_LINE - 1) / CACHE_LINE;
        return (lines | 1) * CACHE_LINE;
    }

    /** The addresses of the slots. */
    private long[] mapRing(final int socket) throws IOException {
        final int slotSize = slotSize();
        final int blockSize = (MIN_SLOTS_PER_BLOCK * slotSize + PAGE - 1) / PAGE * PAGE;
        // The kernel wants as many as there is room for.
        final int slotsPerBlock = blockSize / slotSize;
        mapSize = (long) BLOCKS * blockSize;
        // struct tpacket_req { unsigned block_size, block_nr, frame_size, frame_nr; }
        final long request = RawMemory.allocate(4 * Integer.BYTES);
        RawMemory.putLe32(request, blockSize);
        RawMemory.putLe32(request + 4, BLOCKS);
        RawMemory.putLe32(request + 8, slotSize);
        RawMemory.putLe32(request + 12, BLOCKS * slotsPerBlock);
        final int result = LIBC.setsockopt(socket, SOL_PACKET, PACKET_RX_RING, request, 4 * Integer.BYTES);
        RawMemory.free(request, 4 * Integer.BYTES);
        if (result != 0) {
            throw error("no ring of " + (mapSize >> 10) + " KiB: " + Libc.lastError());
        }
        final Pointer ring = LIBC.mmap(null, mapSize, Libc.PROT_READ_WRITE, Libc.MAP_SHARED, socket, 0);
        if (ring == null || ring.address() == -1) {
            throw error("mmap of the ring: " + Libc.lastError());
        }
        maps.add(ring.address());
        final long[] slots = new long[BLOCKS * slotsPerBlock];
        for (int i = 0; i < slots.length; i++) {
            slots[i] = ring.address() + (long) (i / slotsPerBlock) * blockSize + (long) (i % slotsPerBlock) * slotSize;
        }
        return slots;
    }

    private void bind(final int socket, final int protocol) throws IOException {
        final int index = NetDevice.index(name());
        final long address = RawMemory.allocate(ADDRESS_SIZE);
        RawMemory.putLe16(address, AF_PACKET);
        RawMemory.putLe16(address + 2, protocol);
        RawMemory.putLe32(address + 4, index);
        final int bound = LIBC.bind(socket, address, ADDRESS_SIZE);
        RawMemory.free(address, ADDRESS_SIZE);
        if (index == 0 || bound != 0) {
            throw error(index == 0 ? "is not there" : "cannot be bound to: " + Libc.lastError());
        }
    }

    private void receiveAll(final int socket) throws IOException {
        if (!makePromiscuous(socket, NetDevice.index(name()))) {
            throw error("cannot be made promiscuous: " + Libc.lastError());
        }
    }

    /** For as long as the socket is open, however we end. */
    private static boolean makePromiscuous(final int socket, final int interfaceIndex) {
        final long membership = RawMemory.allocate(MEMBERSHIP_SIZE);
        RawMemory.putLe32(membership, interfaceIndex);
        RawMemory.putLe16(membership + 4, PACKET_MR_PROMISC);
        final int result = LIBC.setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership, MEMBERSHIP_SIZE);
        RawMemory.free(membership, MEMBERSHIP_SIZE);
        return result == 0;
    }

    /** A socket that receives nothing, and has the interface receive frames whoever they are for; or -1. */
    static int promiscuousSocket(final int interfaceIndex) {
        final int socket = LIBC.socket(AF_PACKET, SOCK_RAW | Libc.SOCK_CLOEXEC, 0);
        if (socket >= 0 && !makePromiscuous(socket, interfaceIndex)) {
            LIBC.close(socket);
            return -1;
        }
        return socket;
    }

    /** The first socket gets a group that nobody has, the others join it. */
    private int join(final int socket, final int group) throws IOException {
        final int mode = PACKET_FANOUT_HASH | (sockets.size() == 1 ? PACKET_FANOUT_FLAG_UNIQUEID : 0);
        set(socket, "PACKET_FANOUT", PACKET_FANOUT, (long) mode << 16 | group);
        if (sockets.size() > 1) {
            return group;
        }
        final long memory = RawMemory.allocate(2 * Integer.BYTES);
        RawMemory.putLe32(memory + Integer.BYTES, Integer.BYTES);
        LIBC.getsockopt(socket, SOL_PACKET, PACKET_FANOUT, memory, memory + Integer.BYTES);
        final int made = RawMemory.le16(memory);
        RawMemory.free(memory, 2 * Integer.BYTES);
        return made;
    }

    /** struct tpacket_stats { unsigned packets, drops; }, which the kernel sets to zero when it is read. */
    @Override
    public long takeMissed() {
        final long memory = RawMemory.allocate(3 * Integer.BYTES);
        long missed = 0;
        for (final int socket : sockets) {
            RawMemory.putLe32(memory + 2 * Integer.BYTES, 2 * Integer.BYTES);
            if (LIBC.getsockopt(socket, SOL_PACKET, PACKET_STATISTICS, memory, memory + 2 * Integer.BYTES) == 0) {
                missed += RawMemory.le32(memory + Integer.BYTES);
            }
        }
        RawMemory.free(memory, 3 * Integer.BYTES);
        for (final PacketRing ring : rings) {
            missed += ring.takeMissed();
        }
        return missed;
    }

    @Override
    void closeQueues() {
        senders.forEach(PacketSender::free);
        rings.forEach(PacketRing::free);
        maps.forEach(map -> LIBC.munmap(map, mapSize));
        sockets.forEach(LIBC::close);
        sendSockets.forEach(LIBC::close);
        senders.clear();
        rings.clear();
        maps.clear();
        sockets.clear();
        sendSockets.clear();
    }
}

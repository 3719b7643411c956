package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import jnr.constants.platform.Errno;
import jnr.ffi.Pointer;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/**
 * An XDP socket with its memory for frames (UMEM) and its four rings, for one queue of an interface. Half of the memory is the
 * kernel's to receive into, the rest is ours to send from; each half has as many frames as its rings have entries, so
 * that the fill and completion ring always have room.
 *
 * <p>Made and closed by one control thread; the rings belong to the port's worker in between.
 *
 * @see <a href="https://docs.kernel.org/networking/af_xdp.html">the kernel's documentation</a>
 */
final class XdpSocket {
    static final int RECEIVE_FRAMES = XdpRings.RECEIVE_SIZE;
    static final int SEND_FRAMES = XdpRings.SEND_SIZE;

    /** Two frames a page, or one. The kernel leaves room for headers in front of what it receives. */
    private static final int SMALL_FRAME = 2048;

    private static final int LARGE_FRAME = 4096;
    private static final int XDP_PACKET_HEADROOM = 256;

    /** Ethernet header and two tags. */
    private static final int FRAME_HEADERS = 22;

    /** In front of what is sent: a virtio-net header, so that the frame itself begins with a cache line. */
    private static final int SEND_HEADROOM = 64;

    /** struct xdp_desc { u64 addr; u32 len; u32 options; } */
    static final int ADDRESS_OFFSET = 0;

    static final int LENGTH_OFFSET = 8;

    private static final int AF_XDP = 44;
    private static final int SOCK_RAW = 3;

    private static final int SOL_SOCKET = 1;
    private static final int SO_SNDBUFFORCE = 32;

    /** Of frames that a receiver on this host has not taken yet. */
    private static final int SEND_BUFFER = 16 << 20;

    private static final int SOL_XDP = 283;
    private static final int XDP_UMEM_REG = 4;
    private static final int XDP_STATISTICS = 7;
    private static final int XDP_OPTIONS = 8;

    private static final int XDP_OPTIONS_ZEROCOPY = 1;

    /** struct xdp_umem_reg { u64 addr, len; u32 chunk_size, headroom, flags, tx_metadata_len; } */
    private static final int UMEM_REG_SIZE = 32;

    /** struct xdp_statistics: u64 rx_dropped, rx_invalid_descs, tx_invalid_descs, rx_ring_full, … */
    private static final int STATISTICS_SIZE = 48;

    private static final int RX_DROPPED_OFFSET = 0;
    private static final int RX_RING_FULL_OFFSET = 24;

    /** struct sockaddr_xdp { u16 family, flags; u32 ifindex, queue_id, shared_umem_fd; } */
    private static final int ADDRESS_SIZE = 16;

    /** Of bind: frames are copied in any case, or in none. */
    static final int XDP_COPY = 2;

    static final int XDP_ZEROCOPY = 4;
    private static final int XDP_USE_NEED_WAKEUP = 8;

    private final int frameSize;
    private final int fd;
    private final XdpRings rings = new XdpRings(this);
    private long memory;
    private long missed;

    /**
     * Makes the socket; {@link #prepare} comes next.
     *
     * @param mtu of the interface, at most {@link #maxMtu}
     * @throws XdpRefusedException when that is not possible, with the reason
     */
    XdpSocket(final int mtu) throws XdpRefusedException {
        frameSize = hasRoomFor(SMALL_FRAME, mtu) ? SMALL_FRAME : LARGE_FRAME;
        fd = LIBC.socket(AF_XDP, SOCK_RAW | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0) {
            throw new XdpRefusedException("cannot make an XDP socket: " + Libc.lastError());
        }
    }

    /** The longest MTU whose frames have room. */
    static int maxMtu() {
        return room(LARGE_FRAME) - FRAME_HEADERS;
    }

    private static int room(final int frameSize) {
        return frameSize - XDP_PACKET_HEADROOM;
    }

    private static boolean hasRoomFor(final int frameSize, final int mtu) {
        return mtu <= room(frameSize) - FRAME_HEADERS;
    }

    /** Whether frames of this MTU fit those of the memory. */
    boolean hasRoomFor(final int mtu) {
        return hasRoomFor(frameSize, mtu);
    }

    /** Bytes of all frames. */
    private long memorySize() {
        return (long) (RECEIVE_FRAMES + SEND_FRAMES) * frameSize;
    }

    /**
     * Registers memory, makes and maps the rings, and gives the kernel all it may receive into.
     *
     * @throws XdpRefusedException saying what the kernel refused and why
     */
    void prepare() throws XdpRefusedException {
        final Pointer frames = LIBC.mmap(
                null,
                memorySize(),
                Libc.PROT_READ_WRITE,
                Libc.MAP_SHARED | Libc.MAP_ANONYMOUS | Libc.MAP_POPULATE,
                -1,
                0);
        if (frames == null || frames.address() == -1) {
            throw new XdpRefusedException("no memory for frames: " + Libc.lastError());
        }
        memory = frames.address();
        register();
        rings.map();
        final XdpRing fill = fillRing();
        for (int i = 0; i < RECEIVE_FRAMES; i++) {
            RawMemory.putLe64(fill.entry(0), (long) i * frameSize);
            fill.advance();
        }
        fill.publish();
        final long sendBuffer = RawMemory.allocate(Integer.BYTES);
        RawMemory.putLe32(sendBuffer, SEND_BUFFER);
        LIBC.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, sendBuffer, Integer.BYTES);
        RawMemory.free(sendBuffer, Integer.BYTES);
    }

    private void register() throws XdpRefusedException {
        final long request = RawMemory.allocate(UMEM_REG_SIZE);
        RawMemory.putLe64(request, memory);
        RawMemory.putLe64(request + 8, memorySize());
        RawMemory.putLe32(request + 16, frameSize);
        final int result = LIBC.setsockopt(fd, SOL_XDP, XDP_UMEM_REG, request, UMEM_REG_SIZE);
        RawMemory.free(request, UMEM_REG_SIZE);
        if (result != 0) {
            final String why = Libc.lastError();
            throw new XdpRefusedException(
                    Libc.lastErrno() == Errno.ENOBUFS.intValue()
                            ? "its frames need " + (memorySize() >> 10)
                                    + " KiB of locked memory a queue, more than the limit (raise it: ulimit -l unlimited, or"
                                    + " give CAP_IPC_LOCK)"
                            : "cannot register " + (memorySize() >> 10) + " KiB for frames: " + why);
        }
    }

    /** A number as an option; returns 0 unless the kernel refuses. */
    int set(final int option, final int value) {
        final long number = RawMemory.allocate(Integer.BYTES);
        RawMemory.putLe32(number, value);
        final int result = LIBC.setsockopt(fd, SOL_XDP, option, number, Integer.BYTES);
        RawMemory.free(number, Integer.BYTES);
        return result;
    }

    void get(final int option, final long value, final int size) throws XdpRefusedException {
        final long length = RawMemory.allocate(Integer.BYTES);
        RawMemory.putLe32(length, size);
        final int result = LIBC.getsockopt(fd, SOL_XDP, option, value, length);
        RawMemory.free(length, Integer.BYTES);
        if (result != 0) {
            throw new XdpRefusedException("option " + option + " of an XDP socket: " + Libc.lastError());
        }
    }

    /**
     * Attaches it to a queue.
     *
     * @param mode {@link #XDP_COPY}, {@link #XDP_ZEROCOPY}, or 0 to leave the choice to the driver
     * @return 0, or the errno that says why not
     */
    int bind(final int interfaceIndex, final int queue, final int mode) {
        final long address = RawMemory.allocate(ADDRESS_SIZE);
        RawMemory.putLe16(address, AF_XDP);
        RawMemory.putLe16(address + 2, XDP_USE_NEED_WAKEUP | mode);
        RawMemory.putLe32(address + 4, interfaceIndex);
        RawMemory.putLe32(address + 8, queue);
        final int result = LIBC.bind(fd, address, ADDRESS_SIZE);
        RawMemory.free(address, ADDRESS_SIZE);
        return result == 0 ? 0 : Libc.lastErrno();
    }

    /** Whether the NIC itself reads and writes the frames' memory. Once bound. */
    boolean isZeroCopy() throws XdpRefusedException {
        final long options = RawMemory.allocate(Integer.BYTES);
        try {
            get(XDP_OPTIONS, options, Integer.BYTES);
            return (RawMemory.le32(options) & XDP_OPTIONS_ZEROCOPY) != 0;
        } finally {
            RawMemory.free(options, Integer.BYTES);
        }
    }

    int fd() {
        return fd;
    }

    /** Address of the frames' memory, to which the offsets in the rings are relative. */
    long memory() {
        return memory;
    }

    /** Offset of the bytes of one of the {@link #SEND_FRAMES} frames that we send from. */
    int sendFrame(final int index) {
        return (RECEIVE_FRAMES + index) * frameSize + SEND_HEADROOM;
    }

    /** Bytes of the longest frame that can be sent. */
    int sendRoom() {
        return frameSize - SEND_HEADROOM;
    }

    XdpRing receiveRing() {
        return rings.receive();
    }

    XdpRing sendRing() {
        return rings.send();
    }

    XdpRing fillRing() {
        return rings.fill();
    }

    XdpRing completionRing() {
        return rings.completion();
    }

    /** Frames that found no memory to be received into, or no entry in the ring, since the last call. */
    long takeMissed() {
        final long statistics = RawMemory.allocate(STATISTICS_SIZE);
        try {
            get(XDP_STATISTICS, statistics, STATISTICS_SIZE);
            final long now =
                    RawMemory.le64(statistics + RX_DROPPED_OFFSET) + RawMemory.le64(statistics + RX_RING_FULL_OFFSET);
            final long more = now - missed;
            missed = now;
            return more;
        } catch (final XdpRefusedException e) {
            return 0;
        } finally {
            RawMemory.free(statistics, STATISTICS_SIZE);
        }
    }

    /** Nobody uses it any more. */
    void close() {
        rings.close();
        LIBC.close(fd);
        if (memory != 0) {
            LIBC.munmap(memory, memorySize());
        }
    }
}

package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import jnr.ffi.Pointer;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/** The four rings of an {@link XdpSocket}, which the kernel makes and we map. */
final class XdpRings {
    static final int RECEIVE_SIZE = 2048;
    static final int SEND_SIZE = 1024;

    /** struct xdp_desc { u64 addr; u32 len; u32 options; } */
    private static final int DESCRIPTOR_SIZE = 16;

    private static final int XDP_MMAP_OFFSETS = 1;
    private static final int XDP_RX_RING = 2;
    private static final int XDP_TX_RING = 3;
    private static final int XDP_UMEM_FILL_RING = 5;
    private static final int XDP_UMEM_COMPLETION_RING = 6;

    /** struct xdp_mmap_offsets { struct xdp_ring_offset rx, tx, fr, cr; }, each of four u64. */
    private static final int RING_OFFSETS_SIZE = 32;

    private static final int DESC_OFFSET = 16;

    /** The rings, in the order of struct xdp_mmap_offsets, with the offset by which each is mapped. */
    private enum Ring {
        RECEIVE(XDP_RX_RING, 0, RECEIVE_SIZE, DESCRIPTOR_SIZE),
        SEND(XDP_TX_RING, 0x8000_0000L, SEND_SIZE, DESCRIPTOR_SIZE),
        FILL(XDP_UMEM_FILL_RING, 0x1_0000_0000L, RECEIVE_SIZE, Long.BYTES),
        COMPLETION(XDP_UMEM_COMPLETION_RING, 0x1_8000_0000L, SEND_SIZE, Long.BYTES);

        private final int option;
        private final long mapOffset;
        private final int size;
        private final int entrySize;

        Ring(final int option, final long mapOffset, final int size, final int entrySize) {
            this.option = option;
            this.mapOffset = mapOffset;
            this.size = size;
            this.entrySize = entrySize;
        }

        private boolean isProduced() {
            return this == FILL || this == SEND;
        }
    }

    private final XdpSocket socket;
    private final long[] maps = new long[Ring.values().length];
    private final long[] mapSizes = new long[maps.length];
    private final XdpRing[] rings = new XdpRing[maps.length];

    XdpRings(final XdpSocket socket) {
        this.socket = socket;
    }

    /**
     * Makes and maps them, once the socket has memory.
     *
     * @throws XdpRefusedException saying what the kernel refused and why; {@link #close} takes back what was mapped
     */
    void map() throws XdpRefusedException {
        for (final Ring ring : Ring.values()) {
            if (socket.set(ring.option, ring.size) != 0) {
                throw new XdpRefusedException("no " + ring + " ring of " + ring.size + " entries: " + Libc.lastError());
            }
        }
        final long offsets = RawMemory.allocate(rings.length * RING_OFFSETS_SIZE);
        try {
            socket.get(XDP_MMAP_OFFSETS, offsets, rings.length * RING_OFFSETS_SIZE);
            for (final Ring ring : Ring.values()) {
                map(ring, offsets + ring.ordinal() * RING_OFFSETS_SIZE);
            }
        } finally {
            RawMemory.free(offsets, rings.length * RING_OFFSETS_SIZE);
        }
    }

    private void map(final Ring ring, final long offsets) throws XdpRefusedException {
        final int i = ring.ordinal();
        mapSizes[i] = RawMemory.le64(offsets + DESC_OFFSET) + (long) ring.size * ring.entrySize;
        final Pointer map = LIBC.mmap(
                null,
                mapSizes[i],
                Libc.PROT_READ_WRITE,
                Libc.MAP_SHARED | Libc.MAP_POPULATE,
                socket.fd(),
                ring.mapOffset);
        if (map == null || map.address() == -1) {
            throw new XdpRefusedException("mmap of the " + ring + " ring: " + Libc.lastError());
        }
        maps[i] = map.address();
        rings[i] = ring.isProduced()
                ? XdpRing.produced(maps[i], offsets, ring.size, ring.entrySize)
                : XdpRing.consumed(maps[i], offsets, ring.size, ring.entrySize);
    }

    XdpRing receive() {
        return rings[Ring.RECEIVE.ordinal()];
    }

    XdpRing send() {
        return rings[Ring.SEND.ordinal()];
    }

    XdpRing fill() {
        return rings[Ring.FILL.ordinal()];
    }

    XdpRing completion() {
        return rings[Ring.COMPLETION.ordinal()];
    }

    void close() {
        for (int i = 0; i < maps.length; i++) {
            if (maps[i] != 0) {
                LIBC.munmap(maps[i], mapSizes[i]);
            }
        }
    }
}

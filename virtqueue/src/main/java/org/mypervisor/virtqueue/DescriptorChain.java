package org.mypervisor.virtqueue;

import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_INDIRECT;
import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_NEXT;
import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_WRITE;

/**
 * The buffers of one or more descriptor chains as a list of translated host memory pieces, virtio 1.2 §2.7.5.
 *
 * <p>A reusable cursor: {@link #clear} and {@link #append} fill it, the pieces stay valid until the next {@code clear}
 * or until the memory table changes. All buffers of a chain must have the direction of the queue: device-readable for a
 * transmitq, device-writable for a receiveq. Every descriptor is loaded once; what it points to is translated once.
 *
 * <p>Owned by the worker thread of its queue. Nothing here allocates or throws.
 */
public final class DescriptorChain {
    /**
     * A list of more bytes than this is refused: the largest frame is 64 KiB and some headers, and drivers with one
     * buffer for all have a little more. It bounds what {@link #isWhole} costs.
     */
    private static final int MAX_BYTES = 1 << 22;

    /**
     * Descriptors that a chain may have, however long its ring is; more are taken for a loop. QEMU's own limit. It
     * bounds what one frame can cost.
     */
    private static final int MAX_DESCRIPTORS = 1024;

    /** Room for the longest chains of usual drivers even on short rings (Linux builds indirect tables of up to 19). */
    private static final int MIN_PIECES = 256;

    /** Stands for "the ring's own table" where an indirect table has its guest-physical address. */
    private static final long RING_TABLE = -1;

    private final int requiredDirection;
    private final boolean indirectAllowed;
    private final long[] pieceAddress;
    private final int[] pieceLength;
    private final GuestMemory memory;
    private int pieces;
    private int bytes;
    private RingFault fault;
    /** The last indirect table, for {@link #isWhole}. */
    private long tableAddress = GuestMemory.UNMAPPED;

    private long tableLength;

    /**
     * @param queueSize entries of the ring, which bounds a chain's length
     * @param writable whether the queue's buffers are device-writable (receiveq) or device-readable (transmitq)
     * @param indirectAllowed whether VIRTIO_F_INDIRECT_DESC was negotiated
     */
    DescriptorChain(
            final GuestMemory memory, final int queueSize, final boolean writable, final boolean indirectAllowed) {
        this.memory = memory;
        this.requiredDirection = writable ? VIRTQ_DESC_F_WRITE : 0;
        this.indirectAllowed = indirectAllowed;
        final int capacity = Math.max(MIN_PIECES, Math.min(queueSize, MAX_DESCRIPTORS));
        this.pieceAddress = new long[capacity];
        this.pieceLength = new int[capacity];
    }

    /** Pieces of host memory in the list. A piece is never empty. */
    public int pieces() {
        return pieces;
    }

    /** Host address of a piece, valid until the next {@code clear}. */
    public long pieceAddress(final int index) {
        return pieceAddress[index];
    }

    /** Bytes of a piece, above 0. */
    public int pieceLength(final int index) {
        return pieceLength[index];
    }

    /** Sum of all pieces' lengths. */
    public int bytes() {
        return bytes;
    }

    /** Why the last {@link #append} failed. */
    RingFault fault() {
        return fault;
    }

    void clear() {
        pieces = 0;
        bytes = 0;
    }

    /**
     * Adds the buffers of the chain that starts at {@code head}.
     *
     * @return false when the chain is malformed; {@link #fault} says how, and the list is as it was before
     */
    boolean append(final long descTable, final int queueSize, final int head) {
        final int piecesBefore = pieces;
        final int bytesBefore = bytes;
        fault = walk(descTable, RING_TABLE, queueSize, head);
        if (fault == null) {
            return true;
        }
        pieces = piecesBefore;
        bytes = bytesBefore;
        return false;
    }

    /**
     * @param table host address of the descriptor table, or UNMAPPED when descriptors must be translated one by one
     * @param tableGpa guest-physical address of an indirect table, {@link #RING_TABLE} for the ring's own
     */
    private RingFault walk(final long table, final long tableGpa, final int tableSize, final int first) {
        int slot = first;
        final int limit = Math.min(tableSize, MAX_DESCRIPTORS);
        for (int seen = 0; seen < limit; seen++) {
            // Unsigned: a load from a page that is gone leaves anything in its register, even a negative le16.
            if (Integer.compareUnsigned(slot, tableSize) >= 0) {
                return RingFault.INDEX_OUT_OF_RANGE;
            }
            final long desc = table != GuestMemory.UNMAPPED
                    ? table + (long) slot * VirtqDesc.SIZE
                    : memory.translate(tableGpa + (long) slot * VirtqDesc.SIZE, VirtqDesc.SIZE);
            if (desc == GuestMemory.UNMAPPED) {
                return RingFault.BUFFER_UNMAPPED;
            }
            final long gpa = VirtqDesc.addr(desc);
            final long word = VirtqDesc.lenFlagsNext(desc);
            final int flags = VirtqDesc.flags(word);
            if ((flags & VIRTQ_DESC_F_INDIRECT) != 0) {
                return tableGpa != RING_TABLE ? RingFault.BAD_INDIRECT : walkIndirect(gpa, VirtqDesc.len(word), flags);
            }
            if ((flags & VIRTQ_DESC_F_WRITE) != requiredDirection) {
                return RingFault.WRONG_DIRECTION;
            }
            final RingFault bufferFault = addBuffer(gpa, VirtqDesc.len(word));
            if (bufferFault != null) {
                return bufferFault;
            }
            if ((flags & VIRTQ_DESC_F_NEXT) == 0) {
                return null;
            }
            slot = VirtqDesc.next(word);
        }
        return RingFault.CHAIN_LOOP;
    }

    /** virtio 1.2 §2.7.5.3: no nesting, no NEXT beside INDIRECT, whole descriptors only; WRITE is ignored. */
    private RingFault walkIndirect(final long gpa, final long length, final int flags) {
        final long descriptors = length / VirtqDesc.SIZE;
        if (!indirectAllowed
                || (flags & VIRTQ_DESC_F_NEXT) != 0
                || descriptors == 0
                || length % VirtqDesc.SIZE != 0
                || descriptors > pieceAddress.length) {
            return RingFault.BAD_INDIRECT;
        }
        tableAddress = memory.translate(gpa, length);
        tableLength = length;
        // A table that crosses from one region into the next is legal and rare: its descriptors are translated singly.
        return walk(tableAddress, gpa, (int) descriptors, 0);
    }

    private RingFault addBuffer(final long gpa, final long length) {
        final long host = memory.translate(gpa, length);
        if (host == GuestMemory.UNMAPPED) {
            return addAcrossRegions(gpa, length);
        }
        return addPiece(host, length);
    }

    /** A buffer may begin in one region and end in the next one. */
    private RingFault addAcrossRegions(final long start, final long length) {
        long gpa = start;
        long left = length;
        do {
            final long here = Math.min(left, memory.contiguousFrom(gpa));
            if (here == 0) {
                return RingFault.BUFFER_UNMAPPED;
            }
            final RingFault pieceFault = addPiece(memory.translate(gpa, here), here);
            if (pieceFault != null) {
                return pieceFault;
            }
            gpa += here;
            left -= here;
        } while (left > 0);
        return null;
    }

    private RingFault addPiece(final long host, final long length) {
        if (length == 0) {
            return null;
        }
        if (pieces == pieceAddress.length || length > MAX_BYTES - bytes) {
            return RingFault.CHAIN_TOO_LONG;
        }
        pieceAddress[pieces] = host;
        pieceLength[pieces] = (int) length;
        pieces++;
        bytes += (int) length;
        return null;
    }

    /** Whether every page of the pieces and of the last indirect table can be had. */
    boolean isWhole(final MemoryProbe probe) {
        for (int i = 0; i < pieces; i++) {
            final boolean whole = requiredDirection == VIRTQ_DESC_F_WRITE
                    ? probe.isWritable(pieceAddress[i], pieceLength[i])
                    : probe.isReadable(pieceAddress[i], pieceLength[i]);
            if (!whole) {
                return false;
            }
        }
        return tableAddress == GuestMemory.UNMAPPED || probe.isReadable(tableAddress, tableLength);
    }
}

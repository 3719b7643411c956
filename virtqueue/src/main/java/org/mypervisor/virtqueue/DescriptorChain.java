package org.mypervisor.virtqueue;

import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_WRITE;

/**
 * The buffers of one or more descriptor chains as a list of translated host memory pieces.
 *
 * <p>A reusable cursor: {@link Virtqueue#newChain} and {@link Virtqueue#append} fill it, the pieces stay valid until the
 * next {@code newChain} or until the memory table changes. All buffers of a chain must have the direction of the queue:
 * device-readable for a transmitq, device-writable for a receiveq. What a descriptor points to is translated once.
 *
 * <p>Owned by the worker thread of its queue. Nothing here allocates or throws.
 */
public final class DescriptorChain extends BufferList {
    /**
     * A list of more bytes than this is refused: the largest frame is 64 KiB and some headers, and drivers with one
     * buffer for all have a little more. It bounds what {@link #isWhole} costs.
     */
    static final int MAX_BYTES = 1 << 22;

    /**
     * Descriptors that a chain may have, however long its ring is; more are taken for a loop. QEMU's own limit. It
     * bounds what one frame can cost.
     */
    static final int MAX_DESCRIPTORS = 1024;

    /** Room for the longest chains of usual drivers even on short rings (Linux builds indirect tables of up to 19). */
    private static final int MIN_PIECES = 256;

    private final int requiredDirection;
    private final GuestMemory memory;
    private int empty;

    /**
     * @param queueSize descriptors of the ring, which bound a chain's length
     * @param writable whether the queue's buffers are device-writable (receiveq) or device-readable (transmitq)
     */
    DescriptorChain(final GuestMemory memory, final int queueSize, final boolean writable) {
        super(Math.max(MIN_PIECES, Math.min(queueSize, MAX_DESCRIPTORS)));
        this.memory = memory;
        this.requiredDirection = writable ? VIRTQ_DESC_F_WRITE : 0;
    }

    @Override
    public void clear() {
        super.clear();
        empty = 0;
    }

    /** Takes back the pieces behind the first so many. */
    void rollback(final int first) {
        while (pieces > first) {
            pieces--;
            bytes -= pieceLength[pieces];
        }
    }

    /**
     * Adds the buffer of one descriptor.
     *
     * @param gpa guest-physical address
     * @param length bytes, 0..2^32-1
     * @param flags of the descriptor
     * @return null, or what is wrong with it
     */
    RingFault add(final long gpa, final long length, final int flags) {
        if ((flags & VIRTQ_DESC_F_WRITE) != requiredDirection) {
            return RingFault.WRONG_DIRECTION;
        }
        final long host = memory.translate(gpa, length);
        if (host == GuestMemory.UNMAPPED) {
            return addAcrossRegions(gpa, length);
        }
        return addChecked(host, length);
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
            final RingFault pieceFault = addChecked(memory.translate(gpa, here), here);
            if (pieceFault != null) {
                return pieceFault;
            }
            gpa += here;
            left -= here;
        } while (left > 0);
        return null;
    }

    private RingFault addChecked(final long host, final long length) {
        if (length == 0) {
            // Legal, and free for the driver: without a bound a list of them would have no end.
            empty++;
            return empty > pieceAddress.length ? RingFault.CHAIN_TOO_LONG : null;
        }
        if (pieces == pieceAddress.length || length > MAX_BYTES - bytes) {
            return RingFault.CHAIN_TOO_LONG;
        }
        addPiece(host, (int) length);
        return null;
    }

    /** Whether every page of the pieces can be had. */
    boolean isWhole(final MemoryProbe probe) {
        for (int i = 0; i < pieces; i++) {
            final boolean whole = requiredDirection == VIRTQ_DESC_F_WRITE
                    ? probe.isWritable(pieceAddress[i], pieceLength[i])
                    : probe.isReadable(pieceAddress[i], pieceLength[i]);
            if (!whole) {
                return false;
            }
        }
        return true;
    }
}

package org.mypervisor.offload;

import org.mypervisor.offload.gso.OffloadRequest;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.VirtioNetHdr;

/**
 * Writes one frame into receive buffers, piece after piece, whatever the pieces on either side are.
 *
 * <p>{@link #begin}, then {@link #putNetHdr}, then the frame's bytes in order. The caller reserved enough room. One
 * instance per wire, owned by its worker.
 */
final class FrameCopy {
    /** Where a header is built that does not fit the first piece. */
    private final long headerScratch = RawMemory.allocate(VirtioNetHdr.SIZE);

    private BufferList to;
    private int piece;
    private long address;
    private int room;

    /** Starts at the first byte of these buffers. */
    void begin(final BufferList buffers) {
        to = buffers;
        piece = 0;
        address = buffers.pieceAddress(0);
        room = buffers.pieceLength(0);
    }

    /** The virtio-net header of a frame without offloads. */
    void putNetHdr(final int size, final int numBuffers) {
        if (room >= size) {
            VirtioNetHdr.putPlain(address, size, numBuffers);
            address += size;
            room -= size;
        } else {
            VirtioNetHdr.putPlain(headerScratch, size, numBuffers);
            put(headerScratch, size);
        }
    }

    /** The virtio-net header of a frame that leaves something to its receiver. */
    void putNetHdr(final int size, final int numBuffers, final OffloadRequest request) {
        if (room >= size) {
            request.put(address, size, numBuffers);
            address += size;
            room -= size;
        } else {
            request.put(headerScratch, size, numBuffers);
            put(headerScratch, size);
        }
    }

    /** Appends a chain's bytes from offset {@code skip} to its end. */
    void put(final BufferList from, final int skip) {
        int toSkip = skip;
        for (int i = 0; i < from.pieces(); i++) {
            final int length = from.pieceLength(i);
            if (toSkip < length) {
                put(from.pieceAddress(i) + toSkip, length - toSkip);
                toSkip = 0;
            } else {
                toSkip -= length;
            }
        }
    }

    /** Appends bytes. */
    void put(final long from, final int length) {
        if (length <= room) {
            RawMemory.copy(from, address, length);
            address += length;
            room -= length;
        } else {
            putAcrossPieces(from, length);
        }
    }

    private void putAcrossPieces(final long from, final int length) {
        if (to.gather(from, length)) {
            return;
        }
        int done = 0;
        while (done < length) {
            if (room == 0) {
                piece++;
                address = to.pieceAddress(piece);
                room = to.pieceLength(piece);
            }
            final int here = Math.min(room, length - done);
            RawMemory.copy(from + done, address, here);
            address += here;
            room -= here;
            done += here;
        }
    }

    /** Copies {@code length} bytes of a chain, from offset {@code skip}, to one place. */
    static void collect(final BufferList from, final int skip, final long to, final int length) {
        int toSkip = skip;
        int done = 0;
        for (int i = 0; done < length; i++) {
            final int here = Math.min(from.pieceLength(i) - toSkip, length - done);
            if (here > 0) {
                RawMemory.copy(from.pieceAddress(i) + toSkip, to + done, here);
                done += here;
                toSkip = 0;
            } else {
                toSkip -= from.pieceLength(i);
            }
        }
    }
}

package org.mypervisor.virtqueue;

/**
 * Memory of one or more buffers of a {@link BufferQueue}, as a list of pieces in order.
 *
 * <p>A reusable cursor: {@link BufferQueue#newChain} and {@link BufferQueue#append} fill it, the pieces stay valid until the
 * next {@code newChain}. Owned by the worker thread of its queue. Nothing here allocates or throws.
 */
public class BufferList {
    final long[] pieceAddress;
    final int[] pieceLength;
    int pieces;
    int bytes;

    /** @param capacity pieces for which there is room, above 0 */
    public BufferList(final int capacity) {
        pieceAddress = new long[capacity];
        pieceLength = new int[capacity];
    }

    /** Pieces of host memory in the list. A piece is never empty. */
    public final int pieces() {
        return pieces;
    }

    /** Host address of a piece. */
    public final long pieceAddress(final int index) {
        return pieceAddress[index];
    }

    /** Bytes of a piece, above 0. */
    public final int pieceLength(final int index) {
        return pieceLength[index];
    }

    /** Sum of all pieces' lengths. */
    public final int bytes() {
        return bytes;
    }

    /** Pieces for which there is room. */
    final int capacity() {
        return pieceAddress.length;
    }

    /** Empties the list. */
    public void clear() {
        pieces = 0;
        bytes = 0;
    }

    /** Adds a piece; the caller sees to it that there is room. */
    public final void addPiece(final long address, final int length) {
        pieceAddress[pieces] = address;
        pieceLength[pieces] = length;
        pieces++;
        bytes += length;
    }

    /** Counts bytes for which there is room without a piece: a list that gathers has any. */
    protected final void extend(final int more) {
        bytes += more;
    }

    /**
     * Takes bytes for which no piece has room, if this list is of the kind that gathers.
     *
     * @return false when it is not
     */
    public boolean gather(final long from, final int length) {
        return false;
    }
}

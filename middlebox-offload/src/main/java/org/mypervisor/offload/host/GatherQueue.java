package org.mypervisor.offload.host;

import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Takes frames for the kernel as lists of where their bytes are, {@code struct iovec}, so that the kernel's copy is the only
 * one. Headers and other short pieces are copied; what is referred to must stay as it is until {@link #publish} or
 * {@link #detach}. The kernel may see payload that a guest changes meanwhile, as always: what was judged is among the
 * copied bytes.
 *
 * <p>It has room at any time: when its lists are full it sends what it has.
 */
abstract class GatherQueue extends BufferQueue {
    /** Those of two turns. */
    static final int FRAMES = 64;

    /** struct iovec { void *base; size_t length; } */
    private static final int IOVEC_SIZE = 16;

    private static final int LENGTH_OFFSET = 8;

    /** IOV_MAX, less one for the bytes that were collected in the end. */
    private static final int MAX_PIECES = 1023;

    private static final int IOVECS = 4096;

    /** Copied; above that a reference is cheaper. The headers of a segment, which are overwritten by the next, are shorter. */
    private static final int MAX_COPIED = 512;

    private static final int COPY_SIZE = 1088;

    /** The longest frame of any driver, and its header. */
    static final int MAX_BYTES = 65_600;

    /** Above the frames and segments of one turn. */
    private static final int MAX_LOST = 256;

    /** In the virtio-net header. */
    private static final int GSO_TYPE_OFFSET = 1;

    private static final int HDR_LEN_OFFSET = 2;

    private final Losses losses;
    private final Frame frame = new Frame();
    private final long iovecs = RawMemory.allocate(IOVECS * IOVEC_SIZE);
    private final long copies = RawMemory.allocate(FRAMES * COPY_SIZE);
    /** For the rest of a frame of too many pieces. */
    private final long rest = RawMemory.allocate(MAX_BYTES);

    private final int[] firstPiece = new int[FRAMES + 1];
    private final int[] bytes = new int[FRAMES];
    private int frames;
    private int pieces;
    private long copyEnd;
    private int copyRoom;
    private int restUsed;

    /** Told at {@link #publish}: only then the frames of a turn are counted, from which they are taken off. */
    private final int[] lostBytes = new int[MAX_LOST];

    private final boolean[] lostGso = new boolean[MAX_LOST];
    private final boolean[] lostWhole = new boolean[MAX_LOST];
    private int lost;

    GatherQueue(final long features, final Losses losses) {
        super(FRAMES, features);
        this.losses = losses;
    }

    /** Collects the bytes of one frame. There always is room, but none that could be written to. */
    private final class Frame extends BufferList {
        Frame() {
            super(1);
        }

        void begin() {
            clear();
            addPiece(0, 0);
            extend(MAX_BYTES);
        }

        @Override
        public boolean gather(final long from, final int length) {
            GatherQueue.this.gather(from, length);
            return true;
        }
    }

    @Override
    public final int available(final int most) {
        return 1;
    }

    @Override
    public final BufferList newChain() {
        pieces = firstPiece[frames];
        copyEnd = copies + (long) frames * COPY_SIZE;
        copyRoom = COPY_SIZE;
        // A fault may have broken the frame before off; of those that are complete none lies there.
        restUsed = 0;
        frame.begin();
        return frame;
    }

    @Override
    public final int append() {
        if (frames == FRAMES || pieces + MAX_PIECES + 1 > IOVECS) {
            send(true);
            newChain();
        }
        return frames;
    }

    private void gather(final long from, final int length) {
        if (length <= copyRoom && length <= MAX_COPIED) {
            RawMemory.copy(from, copyEnd, length);
            addPiece(copyEnd, length);
            copyEnd += length;
            copyRoom -= length;
        } else if (pieces - firstPiece[frames] < MAX_PIECES) {
            addPiece(from, length);
        } else {
            RawMemory.copy(from, rest + restUsed, length);
            addPiece(rest + restUsed, length);
            restUsed += length;
        }
    }

    /** Joined with the piece before it, if it follows that in memory. */
    private void addPiece(final long address, final int length) {
        final long last = iovecs + (long) (pieces - 1) * IOVEC_SIZE;
        if (pieces > firstPiece[frames] && RawMemory.le64(last) + RawMemory.le64(last + LENGTH_OFFSET) == address) {
            RawMemory.putLe64(last + LENGTH_OFFSET, RawMemory.le64(last + LENGTH_OFFSET) + length);
            return;
        }
        final long iovec = iovecs + (long) pieces * IOVEC_SIZE;
        RawMemory.putLe64(iovec, address);
        RawMemory.putLe64(iovec + LENGTH_OFFSET, length);
        pieces++;
    }

    @Override
    public final void complete(final int token, final int bytesWritten) {
        final long header = copies + (long) frames * COPY_SIZE;
        if (RawMemory.le16(header + HDR_LEN_OFFSET) > bytesWritten - netHdrSize()) {
            // A driver's hint, which the kernel would take for more than that.
            RawMemory.putLe16(header + HDR_LEN_OFFSET, 0);
        }
        put(frames, iovecs + (long) firstPiece[frames] * IOVEC_SIZE, pieces - firstPiece[frames]);
        bytes[frames] = bytesWritten - netHdrSize();
        frames++;
        firstPiece[frames] = pieces;
        if (restUsed != 0) {
            send(true);
        }
    }

    private void send(final boolean whole) {
        int sent = 0;
        while (sent < frames) {
            final int taken = send(sent, frames - sent);
            if (taken == 0) {
                noteLoss(bytes[sent], isGso(sent), whole);
            }
            sent += Math.max(taken, 1);
        }
        frames = 0;
        restUsed = 0;
    }

    private void noteLoss(final int length, final boolean gso, final boolean whole) {
        if (lost == MAX_LOST) {
            tellLosses();
        }
        lostBytes[lost] = length;
        lostGso[lost] = gso;
        lostWhole[lost] = whole;
        lost++;
    }

    private void tellLosses() {
        for (int i = 0; i < lost; i++) {
            losses.lost(lostBytes[i], lostGso[i], lostWhole[i]);
        }
        lost = 0;
    }

    private boolean isGso(final int slot) {
        return RawMemory.u8(copies + (long) slot * COPY_SIZE + GSO_TYPE_OFFSET) != 0;
    }

    @Override
    public final void publish() {
        if (frames != 0) {
            send(true);
        }
        if (lost != 0) {
            tellLosses();
        }
    }

    @Override
    public final void detach(final boolean whole) {
        if (frames != 0) {
            send(whole);
        }
    }

    /** Notes where the frame of this slot lies. */
    abstract void put(int slot, long iovec, int count);

    /**
     * Hands frames to the kernel.
     *
     * @return how many it took; 0 when it refused the first one
     */
    abstract int send(int first, int count);

    /** Nobody uses it any more. */
    void free() {
        RawMemory.free(iovecs, IOVECS * IOVEC_SIZE);
        RawMemory.free(copies, FRAMES * COPY_SIZE);
        RawMemory.free(rest, MAX_BYTES);
    }
}

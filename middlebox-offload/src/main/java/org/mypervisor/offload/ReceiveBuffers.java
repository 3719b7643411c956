package org.mypervisor.offload;

import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RingFault;

/**
 * The receive buffers set aside for one frame: one chain, or several when the driver accepts merged buffers, virtio 1.2
 * §5.1.6.4. Reserved buffers stay in the ring until {@link #complete}.
 *
 * <p>One instance per wire, owned by its worker.
 */
final class ReceiveBuffers {
    /** Enough buffers are reserved. Other outcomes are {@link #LATER} or the ordinal of a {@link DropReason}. */
    static final int RESERVED = -1;

    /** So many malformed buffers were met that the next turn shall go on. */
    static final int LATER = -2;

    /** Merged buffers of one frame. Even buffers of 64 bytes hold the longest frame. */
    private static final int MAX_MERGED = 1024;

    /** Malformed chains that are given back in one turn: what a hostile driver can cost the others. */
    private static final int MAX_BAD_PER_TURN = 32;

    private final int[] tokens = new int[MAX_MERGED];
    private final int[] bytes = new int[MAX_MERGED];
    private BufferList chain;
    private int count;
    private int badInTurn;

    /** At the start of each turn. */
    void beginTurn() {
        badInTurn = 0;
    }

    /** The reserved buffers' memory, all of them in one list. */
    BufferList chain() {
        return chain;
    }

    /** Number of buffers, for {@code num_buffers}. */
    int count() {
        return count;
    }

    /**
     * Reserves buffers for so many bytes, header included. Malformed ones on the way go back to the driver unused.
     *
     * @return {@link #RESERVED}, {@link #LATER}, or NO_BUFFER, TOO_BIG, or DOWN when the ring broke
     */
    int reserve(final BufferQueue queue, final int needed, final Port port) {
        chain = queue.newChain();
        final int token = queue.append();
        tokens[0] = token;
        count = 1;
        // Nearly always the first buffer does.
        return token >= 0 && chain.bytes() >= needed ? RESERVED : reserveMore(queue, needed, port);
    }

    /** Goes on behind the first look into the ring, whatever that found. */
    private int reserveMore(final BufferQueue queue, final int needed, final Port port) {
        int token = tokens[0];
        int before = 0;
        count = 0;
        while (true) {
            final RingFault fault;
            if (token >= 0) {
                tokens[count] = token;
                bytes[count++] = chain.bytes() - before;
                // The header lies in the first buffer as a whole, virtio 1.2 §5.1.6.3.1.
                fault = count == 1 && chain.bytes() < queue.netHdrSize() ? RingFault.HEADER_SHORT : null;
            } else if (token == BufferQueue.NONE || queue.fault() != null) {
                return outOfBuffers(queue);
            } else {
                tokens[count++] = queue.malformedToken();
                fault = queue.appendFault();
            }
            if (fault != null) {
                port.faults[fault.ordinal()].add(1);
                giveBack(queue);
                if (++badInTurn >= MAX_BAD_PER_TURN) {
                    return LATER;
                }
            } else if (chain.bytes() >= needed) {
                return RESERVED;
            } else if (!queue.isMergeable() || count == MAX_MERGED) {
                return DropReason.TOO_BIG.ordinal();
            }
            before = chain.bytes();
            token = queue.append();
        }
    }

    /** A frame that not even a full ring could hold will never fit; with a broken ring nobody waits. */
    private int outOfBuffers(final BufferQueue queue) {
        if (queue.fault() != null) {
            return DropReason.DOWN.ordinal();
        }
        return (count == queue.size() ? DropReason.TOO_BIG : DropReason.NO_BUFFER).ordinal();
    }

    private void giveBack(final BufferQueue queue) {
        for (int i = 0; i < count; i++) {
            queue.complete(tokens[i], 0);
        }
        chain = queue.newChain();
        count = 0;
    }

    /** Completes the reserved buffers, filled one after the other with so many bytes in all. */
    void complete(final BufferQueue queue, final int written) {
        if (count == 1) {
            queue.complete(tokens[0], written);
            return;
        }
        int left = written;
        for (int i = 0; i < count; i++) {
            final int here = Math.min(left, bytes[i]);
            queue.complete(tokens[i], here);
            left -= here;
        }
    }
}

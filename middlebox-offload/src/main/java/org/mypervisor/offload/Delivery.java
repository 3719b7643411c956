package org.mypervisor.offload;

import org.mypervisor.offload.gso.OffloadRequest;
import org.mypervisor.virtqueue.BufferQueue;

/**
 * The far end of a wire: finds room for a frame in the destination, decides how long it may wait for it, and counts what
 * was sent. {@link #begin}, then the frame's bytes into {@link #contents}, then {@link #end}; {@link #sent} once it has
 * gone as a whole.
 *
 * <p>Owned by the wire's worker.
 */
final class Delivery {
    /** Go on: there is room. Other answers are {@link #WAIT} or the ordinal of a {@link DropReason}. */
    static final int READY = -1;

    /** No room yet; try the same frame again in a later turn. */
    static final int WAIT = -2;

    private final Port destination;
    private final long waitNanos;
    private final ReceiveBuffers buffers = new ReceiveBuffers();
    private final FrameCopy contents = new FrameCopy();

    private boolean waiting;
    private long waitingSince;
    /** A frame has waited in vain; those behind it do not, until there is a buffer. */
    private boolean congested;

    private int frames;
    private long bytes;

    /** @param waitNanos how long a frame may wait for room */
    Delivery(final Port destination, final long waitNanos) {
        this.destination = destination;
        this.waitNanos = waitNanos;
    }

    /** At the start of each turn. */
    void beginTurn() {
        buffers.beginTurn();
    }

    /** A frame is about to be delivered that has not waited yet. */
    void newFrame() {
        waiting = false;
    }

    /** Whether a frame waits for room. */
    boolean isWaiting() {
        return waiting;
    }

    /**
     * Sets buffers aside and writes the header of a frame as it goes on a wire.
     *
     * @param to the destination's ring, or null while it is not up
     */
    int begin(final BufferQueue to, final int frameLength) {
        final int outcome = reserve(to, frameLength);
        if (outcome == READY) {
            contents.putNetHdr(to.netHdrSize(), buffers.count());
        }
        return outcome;
    }

    /** As {@link #begin(BufferQueue, int)}, for a frame that leaves something to its receiver. */
    int begin(final BufferQueue to, final int frameLength, final OffloadRequest request) {
        final int outcome = reserve(to, frameLength);
        if (outcome == READY) {
            contents.putNetHdr(to.netHdrSize(), buffers.count(), request);
        }
        return outcome;
    }

    private int reserve(final BufferQueue to, final int frameLength) {
        if (to == null || to.fault() != null) {
            return DropReason.DOWN.ordinal();
        }
        final int outcome = buffers.reserve(to, to.netHdrSize() + frameLength, destination);
        if (outcome == ReceiveBuffers.RESERVED) {
            congested = false;
            contents.begin(buffers.chain());
            return READY;
        }
        if (outcome == ReceiveBuffers.LATER) {
            return WAIT;
        }
        return outcome == DropReason.NO_BUFFER.ordinal() ? waitOrDrop() : outcome;
    }

    /** Takes the frame's bytes, in order. */
    FrameCopy contents() {
        return contents;
    }

    /** Hands the filled buffers over, to be seen by the driver at the end of the turn. */
    void end(final BufferQueue to, final int frameLength) {
        buffers.complete(to, to.netHdrSize() + frameLength);
    }

    /** A frame has gone, in one or, as segments, in several of those. */
    void sent(final int frameLength) {
        frames++;
        bytes += frameLength;
    }

    /** Many frames have gone without having waited. */
    void sent(final int frameCount, final long frameBytes) {
        congested = false;
        frames += frameCount;
        bytes += frameBytes;
    }

    private int waitOrDrop() {
        if (congested) {
            return DropReason.NO_BUFFER.ordinal();
        }
        final long now = System.nanoTime();
        if (!waiting) {
            waiting = true;
            waitingSince = now;
        }
        if (now - waitingSince < waitNanos) {
            return WAIT;
        }
        congested = true;
        return DropReason.NO_BUFFER.ordinal();
    }

    /** Adds what was sent to the destination's counters. */
    void count() {
        if (frames != 0) {
            destination.sentPackets.add(frames);
            destination.sentBytes.add(bytes);
            frames = 0;
            bytes = 0;
        }
    }
}

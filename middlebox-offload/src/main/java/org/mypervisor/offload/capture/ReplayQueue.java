package org.mypervisor.offload.capture;

import java.io.IOException;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * The frames of a capture, each available from the time on at which it is due. Begins when it is {@link #release released}.
 * A frame that comes too late goes at once, and those behind it keep their times.
 */
public final class ReplayQueue extends BufferQueue implements RunningQueue {
    private static final double NANOS_PER_SECOND = 1e9;
    private static final long NOT_BEGUN = Long.MIN_VALUE;

    /** Seconds of 32 bits, which is what a pcap file has, end in 2106. */
    private static final long END_OF_TIME_NANOS = (1L << 32) * 1_000_000_000;

    private final Capture capture;
    private final boolean unpaced;
    /** Of the clock below, in a nanosecond. */
    private final double ticksPerNano;
    /** The clock counts frames; else nanoseconds of the capture. */
    private final boolean countsFrames;

    private final BufferList list = new BufferList(1);
    private final TimerFd timer;
    private long roundsLeft;
    private long roundShift;
    private long startedNanos = NOT_BEGUN;
    private long clock;
    private long next;
    private long nextNumber;
    private long cursor;
    private long looked;
    private boolean released;
    private boolean exhausted;
    private volatile boolean done;

    /**
     * The capture stays the caller's.
     *
     * @param loops how often all of it is replayed, from 1 on; {@link Long#MAX_VALUE} is for ever
     * @throws IOException when there is no timer to be had
     */
    public ReplayQueue(final Capture capture, final Pace pace, final long loops) throws IOException {
        super(1, 0);
        this.capture = capture;
        unpaced = pace.isMax();
        countsFrames = pace.rate() != 0;
        ticksPerNano = countsFrames ? pace.rate() / NANOS_PER_SECOND : pace.speed();
        roundsLeft = loops;
        next = capture.begin();
        exhausted = capture.frames() == 0;
        timer = new TimerFd();
    }

    /** From now on frames are available. Worker thread, between turns. */
    public void release() {
        released = true;
        done = exhausted;
    }

    /** Whether all frames were taken and have arrived where they went. Any thread. */
    public boolean isDone() {
        return done;
    }

    @Override
    public int available(final int most) {
        if (!released || exhausted) {
            return 0;
        }
        if (unpaced) {
            return most;
        }
        final long now = System.nanoTime();
        if (startedNanos == NOT_BEGUN) {
            startedNanos = now;
        }
        clock = (long) ((now - startedNanos) * ticksPerNano);
        return isDue(next) ? most : 0;
    }

    private boolean isDue(final long record) {
        return dueAt(record) <= clock;
    }

    /** On the clock. */
    private long dueAt(final long record) {
        return countsFrames ? nextNumber : FrameRecord.nanos(record) - capture.firstNanos();
    }

    @Override
    public BufferList newChain() {
        cursor = next;
        list.clear();
        return list;
    }

    /** One at a time: whoever takes from a queue completes each chain before it looks at the next. */
    @Override
    public int append() {
        if (exhausted || cursor != next || !unpaced && !isDue(next)) {
            return NONE;
        }
        looked = cursor;
        final int length = FrameRecord.length(cursor);
        list.addPiece(cursor + FrameRecord.NET_HDR_OFFSET, FrameRecord.NET_HDR_SIZE + length);
        cursor += FrameRecord.size(length);
        return 0;
    }

    @Override
    public void complete(final int token, final int bytesWritten) {
        next += FrameRecord.size(FrameRecord.length(next));
        nextNumber++;
        if (next == capture.end()) {
            endRound();
        }
    }

    private void endRound() {
        if (roundsLeft != Long.MAX_VALUE && --roundsLeft == 0) {
            exhausted = true;
            return;
        }
        next = capture.begin();
        // So that times go on, for whoever writes them down; as far as there are any.
        roundShift += capture.spanNanos();
        if (roundShift >= END_OF_TIME_NANOS - capture.latestNanos()) {
            roundShift = 0;
        }
        if (!countsFrames) {
            startedNanos = NOT_BEGUN;
            clock = 0;
        }
    }

    /** When the frame looked at last was captured, later by as many times the capture's length as it was replayed before. */
    long lookedNanos() {
        return FrameRecord.nanos(looked) + roundShift;
    }

    /** Bytes that the frame looked at last had on the wire. */
    long lookedOriginalLength() {
        return FrameRecord.originalLength(looked);
    }

    /** The receiver's end was published before, so what was taken is there. */
    @Override
    public void publish() {
        if (exhausted && !done) {
            done = true;
        }
    }

    @Override
    public boolean enableKicks() {
        if (available(1) != 0) {
            return true;
        }
        if (released && !exhausted) {
            final long ticks = dueAt(next) - (long) ((System.nanoTime() - startedNanos) * ticksPerNano);
            if (ticks <= 0) {
                return true;
            }
            timer.fireIn((long) (ticks / ticksPerNano));
        }
        return false;
    }

    @Override
    public BufferQueue queue() {
        return this;
    }

    @Override
    public int publishAndCall() {
        publish();
        return 0;
    }

    @Override
    public int kickFd() {
        return timer.fd();
    }

    /** Nobody uses it any more. */
    public void free() {
        timer.close();
    }
}

package org.mypervisor.offload.capture;

import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * Takes frames for a capture file: copies them to a ring, from which a {@link CaptureWriter} writes them. Frames have the
 * time of the burst they came in; those of another capture keep their own, and the length they had on the wire.
 */
final class CaptureQueue extends BufferQueue implements RunningQueue {
    private static final int MAX_BYTES = FrameRecord.NET_HDR_SIZE + FrameRecord.MAX_FRAME;
    private static final long NOT_READ = Long.MIN_VALUE;

    private final RecordRing ring;
    private final CaptureWriter writer;
    private final CaptureFormat format;
    private final long maxBytes;
    private final BufferList list = new BufferList(1);
    private long deadlineNanos;
    private long record;
    private long fileBytes;
    private long now = NOT_READ;
    private ReplayQueue source;
    private volatile boolean full;

    /** @param limits of the file, which begins with so many bytes before the first frame */
    CaptureQueue(final RecordRing ring, final CaptureWriter writer, final CaptureFormat format, final Limits limits) {
        super(1, 0);
        this.ring = ring;
        this.writer = writer;
        this.format = format;
        maxBytes = limits.bytes() == 0 ? Long.MAX_VALUE : limits.bytes();
        deadlineNanos = limits.seconds() == 0 ? 0 : limits.seconds() * 1_000_000_000L;
    }

    /** The time allowed begins. Before any frame comes. */
    void begin(final long headerBytes) {
        fileBytes = headerBytes;
        deadlineNanos = deadlineNanos == 0 ? Long.MAX_VALUE : System.nanoTime() + deadlineNanos;
    }

    /** Whether the file has all that it may have. Any thread. */
    boolean isFull() {
        return full || System.nanoTime() >= deadlineNanos;
    }

    @Override
    public int available(final int most) {
        return 1;
    }

    @Override
    public BufferList newChain() {
        list.clear();
        return list;
    }

    @Override
    public int append() {
        if (now == NOT_READ) {
            now = System.nanoTime();
        }
        if (fileBytes >= maxBytes || now >= deadlineNanos) {
            full = true;
            return NONE;
        }
        record = ring.room();
        if (record == 0) {
            return NONE;
        }
        list.addPiece(record + FrameRecord.NET_HDR_OFFSET, MAX_BYTES);
        return 0;
    }

    @Override
    public void complete(final int token, final int bytesWritten) {
        final int length = bytesWritten - FrameRecord.NET_HDR_SIZE;
        if (source == null) {
            FrameRecord.put(record, now + writer.clockOffset(), length, length);
        } else {
            FrameRecord.put(record, source.lookedNanos(), length, source.lookedOriginalLength());
        }
        ring.add(length);
        fileBytes += format.recordSize(length);
    }

    @Override
    public void takeFrom(final BufferQueue queue) {
        source = queue instanceof ReplayQueue ? (ReplayQueue) queue : null;
    }

    @Override
    public void publish() {
        now = NOT_READ;
        source = null;
        if (ring.publish()) {
            writer.wake();
        }
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
        return -1;
    }
}

package org.mypervisor.offload.capture;

import org.mypervisor.virtqueue.RawMemory;

/**
 * Frames on their way from a worker to the thread that writes them, as {@link FrameRecord}s in private memory. One thread
 * adds, one removes. Positions count bytes since the beginning; none begins so near the end of the memory that the longest
 * frame would not fit.
 */
final class RecordRing {
    private static final int MAX_RECORD = FrameRecord.size(FrameRecord.MAX_FRAME);

    private final int size;
    private final long memory;
    /** Written by the adding thread: what is behind it is not there yet. */
    private volatile long published;
    /** Written by the removing thread: what is before it may be overwritten. */
    private volatile long freed;

    private long added;
    private long knownFreed;
    private long removed;

    /** @param size in bytes, a power of two, with room for more than two of the longest frames */
    RecordRing(final int size) {
        this.size = size;
        memory = RawMemory.allocate(size);
    }

    private long whereRecordFits(final long position) {
        final int offset = (int) position & size - 1;
        return offset > size - MAX_RECORD ? position - offset + size : position;
    }

    private long address(final long position) {
        return memory + ((int) position & size - 1);
    }

    /** Address for the next record, or 0 when there is no room for the longest. Adding thread. */
    long room() {
        final long position = whereRecordFits(added);
        if (position + MAX_RECORD - knownFreed > size) {
            knownFreed = freed;
            if (position + MAX_RECORD - knownFreed > size) {
                return 0;
            }
        }
        return address(position);
    }

    /** The record where {@link #room} said is complete. Adding thread. */
    void add(final int length) {
        added = whereRecordFits(added) + FrameRecord.size(length);
    }

    /**
     * Shows the other thread all that was added. A full fence: what it said before that it is about to do, is seen behind
     * this, {@link CaptureWriter}. Adding thread.
     *
     * @return whether there was anything
     */
    boolean publish() {
        if (published == added) {
            return false;
        }
        published = added;
        return true;
    }

    boolean isEmpty() {
        return removed == published;
    }

    /** Address of the oldest record, or 0 when there is none. Removing thread. */
    long oldest() {
        return isEmpty() ? 0 : address(whereRecordFits(removed));
    }

    /** That record is not needed any more, once this is told by {@link #free}. Removing thread. */
    void remove(final int length) {
        removed = whereRecordFits(removed) + FrameRecord.size(length);
    }

    /** Gives the room of all that was removed back. Removing thread. */
    void giveBack() {
        freed = removed;
    }

    /** Nobody uses it any more. */
    void free() {
        RawMemory.free(memory, size);
    }
}

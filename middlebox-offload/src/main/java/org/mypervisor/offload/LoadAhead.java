package org.mypervisor.offload;

import org.mypervisor.virtqueue.BufferBurst;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Has cache lines of a burst on their way before they are needed, many at a time, by touching each. The copy of a frame
 * keeps so many instructions in the processor that only the first lines of a few frames would be waited for together.
 *
 * <p>docs/decisions/0014-loading-ahead.md has what it gains, and where it lost. One instance per burst, owned by its worker.
 */
final class LoadAhead {
    private static final int CACHE_LINE = 64;

    /** Bytes of a frame, with its header, from which on its buffer is touched, too. Frames of 512 bytes lost by loads of it. */
    private static final int LONG = 1024;

    /** The lines of the header and of the frame's first bytes, in which the driver has been; to load them would be to get them twice. */
    private static final int DRIVERS = 2 * CACHE_LINE;

    /** Bytes of a buffer that are touched at most. */
    private static final int BEGINNING = 13 * CACHE_LINE;

    /** The sum of all that was loaded, or the compiler would leave loads out. */
    private int loaded;

    /** The first line of each frame, which its driver has just written. */
    void firstLines(final BufferBurst source, final int netHdrSize, final int count) {
        int all = 0;
        for (int i = 0; i < count; i++) {
            all += RawMemory.u8(source.address(i) + Math.min(netHdrSize, source.length(i) - 1));
        }
        loaded += all;
    }

    /**
     * The first line of the buffer of each long frame, in wires that judge nothing. It is written to, since the driver's CPU had it
     * last, and a later store would wait until it is given up, with all stores behind.
     */
    void firstLinesToWrite(final BufferBurst source, final BufferBurst sink, final int netHdrSize, final int count) {
        for (int i = 0; i < count; i++) {
            if (isLong(source, sink, i)) {
                RawMemory.putLe64(sink.address(i) + netHdrSize, 0);
            }
        }
    }

    /** What comes behind it, up to the middle of a usual frame, of the buffer of one long frame. */
    void beginning(final BufferBurst source, final BufferBurst sink, final int index) {
        if (!isLong(source, sink, index)) {
            return;
        }
        final long address = sink.address(index);
        int all = 0;
        for (int at = DRIVERS; at < BEGINNING; at += CACHE_LINE) {
            all += RawMemory.u8(address + at);
        }
        loaded += all;
    }

    private static boolean isLong(final BufferBurst source, final BufferBurst sink, final int index) {
        return source.length(index) >= LONG && sink.length(index) >= BEGINNING;
    }
}

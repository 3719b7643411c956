package org.mypervisor.offload;

import org.mypervisor.virtqueue.BufferBurst;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Has cache lines of a burst on their way before they are needed, many at a time, by loading a byte of each. The copy of a frame
 * keeps so many instructions in the processor that only the first lines of a few frames would be waited for together.
 *
 * <p>docs/decisions/0014-loading-ahead.md has what it gains, and where it lost. One instance per burst, owned by its worker.
 */
final class LoadAhead {
    private static final int CACHE_LINE = 64;

    /** Bytes of a frame, with its header, from which on the next buffer is loaded. Frames of 512 bytes lost by it. */
    private static final int LONG = 1024;

    /** Bytes of that buffer. */
    private static final int BEGINNING = 12 * CACHE_LINE;

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
     * The beginning of a buffer into which a frame will be copied after the present one, if it is long.
     *
     * @param frame its bytes, with its header
     */
    void beginning(final BufferBurst sink, final int index, final int frame) {
        if (frame < LONG || sink.length(index) < BEGINNING) {
            return;
        }
        final long address = sink.address(index);
        int all = 0;
        for (int at = 0; at < BEGINNING; at += CACHE_LINE) {
            all += RawMemory.u8(address + at);
        }
        loaded += all;
    }
}

package org.mypervisor.offload.capture;

import java.io.IOException;

/** Takes the frames of a capture as they are read. */
@FunctionalInterface
public interface FrameSink {
    /** The time of frames in front of all that have one. */
    long NO_TIME = -1;

    /**
     * The next frame.
     *
     * @param nanos when it was captured, since 1970, from 0; one that has no time has that of the frame before it, if any, or
     *     else {@link #NO_TIME}
     * @param bytes where the frame begins at index 0; the reader's, and the next frame's after the return
     * @param length bytes that were captured, 0..65,589
     * @param originalLength bytes on the wire, {@code length} or more
     * @throws IOException when it has no room for it; the reader reads no further then
     */
    void frame(long nanos, byte[] bytes, int length, long originalLength) throws IOException;
}

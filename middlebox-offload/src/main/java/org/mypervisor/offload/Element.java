package org.mypervisor.offload;

import java.util.Map;

/**
 * One step of a path: looks at a frame and passes it on or ends it.
 *
 * <p>An instance belongs to one source queue and is used by that queue's worker thread alone, so it needs no locks.
 * {@link #process} and {@link #processAll} must not allocate, block, log or throw.
 */
public interface Element {
    /** The frame goes on to the next element or to the destination. Any other verdict is a {@link DropReason}. */
    int PASS = -1;

    /**
     * Judges one frame.
     *
     * @param packet the frame's private snapshot, valid during the call only
     * @return {@link #PASS}, or the {@code ordinal()} of the {@link DropReason} that ends the frame here
     */
    int process(Packet packet);

    /**
     * Judges frames that go many at once, as {@link #process} would one after the other.
     *
     * @param packets the frames' snapshots
     * @param count of them, {@link org.mypervisor.virtqueue.BufferBurst#MOST} at most
     * @param verdicts {@link #PASS} where a frame is to be judged, which is answered in its place; the others have been ended by
     *     elements before and stay as they are
     */
    default void processAll(final Packet[] packets, final int count, final int[] verdicts) {
        for (int i = 0; i < count; i++) {
            if (verdicts[i] == PASS) {
                verdicts[i] = process(packets[i]);
            }
        }
    }

    /** The element's name in a path. */
    String name();

    /** What the element counts itself, for the statistics; any thread may ask. */
    default Map<String, Long> counts() {
        return Map.of();
    }
}

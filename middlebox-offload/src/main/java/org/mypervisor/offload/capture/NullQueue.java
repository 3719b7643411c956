package org.mypervisor.offload.capture;

import java.io.IOException;
import org.mypervisor.vhostuser.EventFd;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RunningQueue;

/** Either end of a port that is attached to nothing: takes every frame without looking at it, and never has one. */
public final class NullQueue extends BufferQueue implements RunningQueue {
    private final Frame frame = new Frame();
    /** Never signalled; without one a worker would have to look again and again. */
    private final EventFd kick = EventFd.create();

    /**
     * An end that takes frames, has none, or both.
     *
     * @param features virtio features by which frames may come
     * @throws IOException when no descriptor can be had
     */
    public NullQueue(final long features) throws IOException {
        super(1, features);
    }

    /** Has room for any frame, and none of it is written to. */
    private static final class Frame extends BufferList {
        Frame() {
            super(1);
        }

        void begin() {
            clear();
            addPiece(0, 0);
            extend(FrameRecord.FRAME_OFFSET + FrameRecord.MAX_FRAME);
        }

        @Override
        public boolean gather(final long from, final int length) {
            return true;
        }
    }

    @Override
    public int available(final int most) {
        return 0;
    }

    @Override
    public BufferList newChain() {
        frame.begin();
        return frame;
    }

    @Override
    public int append() {
        return 0;
    }

    @Override
    public void complete(final int token, final int bytesWritten) {}

    @Override
    public void publish() {}

    @Override
    public BufferQueue queue() {
        return this;
    }

    @Override
    public int publishAndCall() {
        return 0;
    }

    @Override
    public int kickFd() {
        return kick.fd();
    }

    /** Nobody uses it any more. */
    public void free() {
        kick.close();
    }
}

package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import jnr.constants.platform.Errno;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Frames' memory of an XDP socket, to be filled and sent: one system call a burst where the driver does not look for itself.
 * What was sent comes back through the completion ring, and what came back last is used first: it is still in the cache.
 */
final class XdpSender extends BufferQueue {
    private static final int MSG_DONTWAIT = 0x40;
    private static final int DOWN = Errno.ENETDOWN.intValue();
    private static final int UNBOUND = Errno.ENXIO.intValue();
    private static final int AGAIN = Errno.EAGAIN.intValue();
    private static final int DROPPED = Errno.EBUSY.intValue();

    /** Frames that the kernel copies and sends in one call. */
    private static final int BATCH = 32;

    private final XdpSocket socket;
    private final XdpRing ring;
    private final XdpRing completions;
    private final Losses losses;
    /** Where the virtio-net header of a frame at offset 0 would be. */
    private final long base;

    /** Offsets of those that nobody uses; the last one is the next. */
    private final int[] free = new int[XdpSocket.SEND_FRAMES];

    private int freeCount;
    private final BufferList list = new BufferList(1);
    private int cursor;
    /** Completed since the last publication. */
    private int filled;

    /** Frames were left in the ring, because the driver had no room or because the interface is down. */
    private boolean waiting;

    /** Of the frames in the ring, so many of the oldest are counted as lost already. */
    private int lost;

    /** Bytes of the longest frame, with header; another thread may set it. */
    private volatile int room;

    XdpSender(final XdpSocket socket, final Losses losses) {
        super(XdpSocket.SEND_FRAMES, 0);
        this.socket = socket;
        this.ring = socket.sendRing();
        this.completions = socket.completionRing();
        this.losses = losses;
        this.base = socket.memory() - netHdrSize();
        for (int i = 0; i < XdpSocket.SEND_FRAMES; i++) {
            free[freeCount++] = socket.sendFrame(i);
        }
    }

    /** Longer frames have no room from now on, which makes them {@code too_big}. Any thread. */
    void limit(final int frameBytes) {
        room = Math.min(frameBytes, socket.sendRoom()) + netHdrSize();
    }

    @Override
    public int available(final int most) {
        return Math.min(freeCount, most);
    }

    @Override
    public BufferList newChain() {
        if (freeCount == 0) {
            collect();
        }
        cursor = 0;
        list.clear();
        return list;
    }

    private void collect() {
        final int count = Math.min(completions.available(size()), size() - freeCount);
        for (int i = 0; i < count; i++) {
            free[freeCount++] = (int) RawMemory.le64(completions.entry(0));
            completions.advance();
        }
        completions.publish();
    }

    @Override
    public int append() {
        if (cursor == freeCount) {
            return NONE;
        }
        cursor++;
        final int offset = free[freeCount - cursor];
        list.addPiece(base + offset, room);
        return offset;
    }

    @Override
    public void complete(final int token, final int bytesWritten) {
        freeCount--;
        final long entry = ring.entry(0);
        RawMemory.putLe64(entry + XdpSocket.ADDRESS_OFFSET, token);
        // The options behind the length are 0.
        RawMemory.putLe64(entry + XdpSocket.LENGTH_OFFSET, bytesWritten - netHdrSize());
        ring.advance();
        filled++;
    }

    @Override
    public void publish() {
        flush(true);
    }

    /** Nothing of ours refers to it; but whether those that are lost are whole frames is known only now. */
    @Override
    public void detach(final boolean whole) {
        flush(whole);
    }

    private void flush(final boolean whole) {
        if (filled == 0) {
            return;
        }
        filled = 0;
        ring.publish();
        if (ring.needsWakeup()) {
            kick(whole);
        }
        // A driver that copies has them back already.
        collect();
    }

    /**
     * Tells the kernel until it has taken all frames or takes no more. Where it copies, one call takes {@link #BATCH} and
     * answers EAGAIN if there are more. The ring does not show that progress: the kernel publishes its index when it runs
     * out of entries that it knows of. So calls are counted instead.
     */
    private void kick(final boolean whole) {
        waiting = false;
        int calls = ring.pending() / BATCH + 1;
        int dropped = 0;
        while (LIBC.send(socket.fd(), 0, 0, MSG_DONTWAIT) < 0) {
            final int errno = Libc.lastErrno();
            if (errno == DROPPED && dropped < XdpSocket.SEND_FRAMES) {
                // It took one more, which came to nothing, and left the others. Which one, nobody says.
                losses.lost((int) RawMemory.le32(ring.entry(-1) + XdpSocket.LENGTH_OFFSET), false, whole);
                dropped++;
                continue;
            }
            calls--;
            if (errno == AGAIN && calls > 0) {
                continue;
            }
            final int left = ring.pending();
            if (left == 0) {
                break;
            }
            if (errno == DOWN || errno == UNBOUND) {
                writeOff(left, whole);
            } else {
                waiting = true;
            }
            return;
        }
        lost = 0;
    }

    /** Frames that an interface does not take which is down: when it is up again our queues are others. */
    private void writeOff(final int left, final boolean whole) {
        for (int i = Math.min(lost, left); i < left; i++) {
            losses.lost((int) RawMemory.le32(ring.entry(i - left) + XdpSocket.LENGTH_OFFSET), false, whole);
        }
        lost = left;
    }

    /** Whether frames wait in the ring for somebody to tell the kernel once more. */
    boolean isWaiting() {
        return waiting;
    }

    /** Tells the kernel again of frames that it did not take; once a turn. */
    void goOn() {
        if (waiting) {
            kick(true);
        }
    }
}

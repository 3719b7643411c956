package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;

/**
 * The frames that the host sends to a tap, one system call each. They are read a burst at a time into one arena, one
 * behind the other, and wait there until all of the burst are taken.
 */
final class TapReader extends BufferQueue {
    private static final int MOST = 32;

    /** Once so much is read the burst is full, so that long frames are still in the cache when they are copied. */
    private static final int FULL_BYTES = 1 << 17;

    private static final int MAX_BYTES = GatherQueue.MAX_BYTES;
    private static final int ARENA_SIZE = FULL_BYTES + MAX_BYTES;
    private static final int ALIGNMENT = 64;

    private final int fd;
    private final long arena = RawMemory.allocate(ARENA_SIZE);
    private final BufferList list = new BufferList(1);
    private final int[] offset = new int[MOST];
    private final int[] length = new int[MOST];
    private int count;
    private int next;
    private int cursor;

    /** @param fd nonblocking */
    TapReader(final int fd, final long features) {
        super(MOST, features);
        this.fd = fd;
    }

    @Override
    public int available(final int most) {
        if (fault() != null) {
            return 0;
        }
        if (next == count) {
            read(Math.min(most, MOST));
        }
        return Math.min(count - next, most);
    }

    private void read(final int most) {
        next = 0;
        count = 0;
        int used = 0;
        while (count < most && used < FULL_BYTES) {
            // An error means that there is nothing, too; whether the interface still lives is looked after elsewhere.
            final long bytes = LIBC.read(fd, arena + used, MAX_BYTES);
            if (bytes <= 0) {
                return;
            }
            offset[count] = used;
            length[count] = (int) bytes;
            count++;
            used = (used + (int) bytes + ALIGNMENT - 1) & -ALIGNMENT;
        }
    }

    @Override
    public BufferList newChain() {
        cursor = next;
        list.clear();
        return list;
    }

    @Override
    public int append() {
        if (cursor == count) {
            return NONE;
        }
        list.addPiece(arena + offset[cursor], length[cursor]);
        return cursor++;
    }

    @Override
    public void complete(final int token, final int bytesWritten) {
        next++;
    }

    @Override
    public void publish() {}

    @Override
    public boolean enableKicks() {
        return available(1) != 0;
    }

    /** Nobody uses it any more. */
    void free() {
        RawMemory.free(arena, ARENA_SIZE);
    }
}

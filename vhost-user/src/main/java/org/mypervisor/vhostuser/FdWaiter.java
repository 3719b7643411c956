package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Waits in poll(2) for one descriptor, and lets another thread end the wait for good.
 *
 * <p>One thread waits; any thread may {@link #stop}.
 */
public final class FdWaiter implements AutoCloseable {
    /** struct pollfd { int fd; short events; short revents; }, twice. */
    private static final int POLLFD_SIZE = 8;

    private static final int EVENTS_OFFSET = 4;

    private final EventFd wake = EventFd.create();
    private final long pollFds = RawMemory.allocate(2 * POLLFD_SIZE);
    private volatile boolean stopped;

    public FdWaiter() throws IOException {}

    /**
     * Waits until the descriptor is readable or in error, which a read will tell.
     *
     * @return false when {@link #stop} was called
     */
    public boolean awaitReadable(final int fd) {
        return await(fd, -1);
    }

    /**
     * As {@link #awaitReadable(int)}, but for so long at most.
     *
     * @return false when {@link #stop} was called
     */
    public boolean awaitReadable(final int fd, final int millis) {
        return await(fd, millis);
    }

    /** Sleeps for so long, or until {@link #stop}. */
    public boolean sleep(final int millis) {
        // poll(2) ignores negative descriptors.
        return await(-1, millis);
    }

    private boolean await(final int fd, final int timeoutMillis) {
        RawMemory.putLe32(pollFds, fd);
        RawMemory.putLe32(pollFds + EVENTS_OFFSET, Libc.POLLIN);
        RawMemory.putLe32(pollFds + POLLFD_SIZE, wake.fd());
        RawMemory.putLe32(pollFds + POLLFD_SIZE + EVENTS_OFFSET, Libc.POLLIN);
        if (!stopped) {
            // A failed poll can only be EINTR here; the caller's nonblocking call finds out.
            LIBC.poll(pollFds, 2, timeoutMillis);
        }
        return !stopped;
    }

    public boolean isStopped() {
        return stopped;
    }

    /** Ends the present wait and every later one. */
    public void stop() {
        stopped = true;
        wake.signal();
    }

    /** Only after the waiting thread has ended. */
    @Override
    public void close() {
        wake.close();
        RawMemory.free(pollFds, 2 * POLLFD_SIZE);
    }
}

package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.mypervisor.virtqueue.RawMemory;

/**
 * An eventfd: one that a front-end gave us to call its driver, or one of our own to wake a sleeping thread.
 *
 * <p>Any thread may {@link #signal}; the owner closes.
 */
public final class EventFd implements AutoCloseable {
    private static final long ONE = one();

    /** In struct pollfd. */
    private static final int REVENTS_OFFSET = 6;

    private final int fd;
    /** How to signal a descriptor that a front-end shares with us, or NONE. */
    private final long request;

    private boolean closed;

    private EventFd(final int fd, final long request) {
        this.fd = fd;
        this.request = request;
    }

    private static long one() {
        final long address = RawMemory.allocate(Long.BYTES);
        RawMemory.putLe64(address, 1);
        return address;
    }

    /** A new nonblocking eventfd of our own. */
    public static EventFd create() throws IOException {
        final int fd = LIBC.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (fd < 0) {
            throw new IOException("eventfd: " + Libc.lastError());
        }
        return new EventFd(fd, AsyncSignal.NONE);
    }

    /**
     * Takes the descriptor of a message, which must be an eventfd: a pipe, file or socket could block a worker for ever.
     *
     * @return null when the message has none
     */
    static EventFd from(final FrontendRequest request, final Message message) throws ProtocolException {
        if (message.fdCount() == 0) {
            return null;
        }
        final String kind;
        try {
            kind = Files.readSymbolicLink(Path.of("/proc/self/fd/" + message.peekFd(0)))
                    .toString();
        } catch (final IOException e) {
            throw new ProtocolException(request, "fd: cannot tell its kind: " + e.getMessage());
        }
        if (!kind.equals("anon_inode:[eventfd]")) {
            throw new ProtocolException(request, "fd is " + kind + ", must be an eventfd");
        }
        final int fd = message.takeFd();
        return new EventFd(fd, AsyncSignal.prepare(fd));
    }

    public int fd() {
        return fd;
    }

    /**
     * Adds one to the counter. Neither allocates nor fails: a full counter means that a signal is pending.
     *
     * <p>Never waits for a front-end, whatever that did to the descriptor, unless the kernel has no asynchronous I/O.
     */
    public void signal() {
        if (!AsyncSignal.send(request)) {
            LIBC.write(fd, ONE, Long.BYTES);
        }
    }

    /** Signals, but off the packet way rather not at all than with a write that might wait. */
    void signalIfFree() {
        if (!AsyncSignal.send(request) && isWritable()) {
            LIBC.write(fd, ONE, Long.BYTES);
        }
    }

    private boolean isWritable() {
        final long pollFd = RawMemory.allocate(Long.BYTES);
        RawMemory.putLe32(pollFd, fd);
        RawMemory.putLe32(pollFd + Integer.BYTES, Libc.POLLOUT);
        LIBC.poll(pollFd, 1, 0);
        // A counter at its very end answers POLLERR alone.
        final boolean writable = (RawMemory.le16(pollFd + REVENTS_OFFSET) & Libc.POLLOUT) != 0;
        RawMemory.free(pollFd, Long.BYTES);
        return writable;
    }

    /** Whether the counter is full, which takes somebody who wants that. Any thread, also while the owner closes. */
    synchronized boolean isFull() {
        return !closed && !isWritable();
    }

    /** Empties the counter without ever waiting, so that whoever waits to write can go on. Any thread. */
    public synchronized void drain() {
        if (closed) {
            return;
        }
        final int size = Long.BYTES;
        final long memory = RawMemory.allocate(3 * size);
        RawMemory.putLe64(memory, memory + 2 * size);
        RawMemory.putLe64(memory + size, size);
        LIBC.preadv2(fd, memory, 1, -1, Libc.RWF_NOWAIT);
        RawMemory.free(memory, 3 * size);
    }

    /** Nobody signals any more. */
    @Override
    public synchronized void close() {
        if (!closed) {
            closed = true;
            AsyncSignal.forget(request);
            LIBC.close(fd);
        }
    }
}

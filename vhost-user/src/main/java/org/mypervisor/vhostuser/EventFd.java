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

    private final int fd;

    private EventFd(final int fd) {
        this.fd = fd;
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
        return new EventFd(fd);
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
        return new EventFd(message.takeFd());
    }

    public int fd() {
        return fd;
    }

    /** Adds one to the counter. Neither allocates nor fails: a full counter means that a signal is pending. */
    public void signal() {
        LIBC.write(fd, ONE, Long.BYTES);
    }

    /**
     * Signals only if that will not block: a front-end can fill the counter and make the descriptor blocking. For
     * threads that must not wait, off the packet way.
     */
    void signalIfFree() {
        final long pollFd = RawMemory.allocate(Long.BYTES);
        RawMemory.putLe32(pollFd, fd);
        RawMemory.putLe32(pollFd + Integer.BYTES, Libc.POLLOUT);
        final int writable = LIBC.poll(pollFd, 1, 0);
        RawMemory.free(pollFd, Long.BYTES);
        if (writable == 1) {
            signal();
        }
    }

    /** Empties the counter without ever waiting, so that whoever waits to write can go on. */
    void drain() {
        final int size = Long.BYTES;
        final long memory = RawMemory.allocate(3 * size);
        RawMemory.putLe64(memory, memory + 2 * size);
        RawMemory.putLe64(memory + size, size);
        LIBC.preadv2(fd, memory, 1, -1, Libc.RWF_NOWAIT);
        RawMemory.free(memory, 3 * size);
    }

    @Override
    public void close() {
        LIBC.close(fd);
    }
}

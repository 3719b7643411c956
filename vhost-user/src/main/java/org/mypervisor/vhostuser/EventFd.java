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

    @Override
    public void close() {
        LIBC.close(fd);
    }
}

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
     * Takes ownership of a received descriptor, which must be an eventfd: a pipe, file or socket could block a worker
     * for ever.
     */
    static EventFd adopt(final int fd, final FrontendRequest request) throws ProtocolException {
        final String kind;
        try {
            kind = Files.readSymbolicLink(Path.of("/proc/self/fd/" + fd)).toString();
        } catch (final IOException e) {
            throw new ProtocolException(request, "fd: cannot tell its kind: " + e.getMessage());
        }
        if (!kind.equals("anon_inode:[eventfd]")) {
            throw new ProtocolException(request, "fd is " + kind + ", must be an eventfd");
        }
        return new EventFd(fd);
    }

    public int fd() {
        return fd;
    }

    /** Adds one to the counter. Neither allocates nor fails: a full counter means that a signal is pending. */
    public void signal() {
        LIBC.write(fd, ONE, Long.BYTES);
    }

    /** Takes the counter back to zero; only for nonblocking eventfds of our own. */
    public void drain(final long scratch) {
        LIBC.read(fd, scratch, Long.BYTES);
    }

    @Override
    public void close() {
        LIBC.close(fd);
    }
}

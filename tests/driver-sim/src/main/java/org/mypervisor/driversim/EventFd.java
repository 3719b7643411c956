package org.mypervisor.driversim;

import java.time.Duration;
import jnr.ffi.Pointer;

/**
 * A nonblocking eventfd, as front-ends hand them to a back-end for kick, call and error. Owns its descriptor until
 * {@link #close()}. For one thread at a time; neither {@link #signal} nor {@link #drain} allocates on the Java heap.
 */
public final class EventFd implements AutoCloseable {
    private final Pointer value = Libc.allocate(8);
    private int fd;

    private EventFd(final int fd) {
        this.fd = fd;
    }

    /** A new one; with an initial count above 0 the descriptor is readable at once. */
    public static EventFd create(final int initial) {
        return new EventFd(Libc.eventfd(initial));
    }

    /** Takes over a descriptor that came with a message. */
    public static EventFd adopt(final int fd) {
        return new EventFd(fd);
    }

    public int fd() {
        return fd;
    }

    /** Adds one to the counter. */
    public void signal() {
        value.putLong(0, 1);
        Libc.CALLS.write(fd, value, 8);
    }

    /** Takes the counter and leaves zero; 0 when nothing was signalled. Never waits. */
    public long drain() {
        return Libc.CALLS.read(fd, value, 8) == 8 ? value.getLong(0) : 0;
    }

    /** Waits until the counter is above zero and leaves it so; false after {@code timeout}. */
    public boolean await(final Duration timeout) {
        return Libc.poll(fd, Libc.POLLIN, timeout);
    }

    /** Closes the descriptor; once is enough, twice is harmless. */
    @Override
    public void close() {
        if (fd >= 0) {
            Libc.close(fd);
            fd = -1;
        }
    }
}

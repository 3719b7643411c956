package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jnr.constants.platform.Errno;
import jnr.unixsocket.UnixSocketChannel;
import org.mypervisor.virtqueue.RawMemory;

/**
 * A socket that whoever started us left open, named {@code /dev/fd/N}: one that listens, or one whose front-end is
 * connected already; vhost-user specification, "Back-end program conventions", {@code --fd}.
 */
final class InheritedSocket implements FrontendSource {
    private static final Pattern PATH = Pattern.compile("/dev/fd/(\\d{1,9})");
    private static final int SOL_SOCKET = 1;
    private static final int SO_ACCEPTCONN = 30;

    private final int fd;
    private final boolean listening;
    private boolean taken;

    private InheritedSocket(final int fd) throws IOException {
        this.fd = fd;
        final String kind;
        try {
            kind = Files.readSymbolicLink(Path.of("/proc/self/fd/" + fd)).toString();
        } catch (final IOException e) {
            throw new IOException("descriptor %d is not open; pass it on to this process".formatted(fd));
        }
        if (!kind.startsWith("socket:")) {
            throw new IOException("descriptor %d is %s, must be a UNIX socket".formatted(fd, kind));
        }
        this.listening = isListening(fd);
    }

    /** The descriptor that this path names, if it names one. */
    static OptionalInt descriptor(final Path path) {
        final Matcher matcher = PATH.matcher(path.toString());
        return matcher.matches() ? OptionalInt.of(Integer.parseInt(matcher.group(1))) : OptionalInt.empty();
    }

    /** @throws IOException when there is no such descriptor, or it is no socket */
    static InheritedSocket of(final int fd) throws IOException {
        return new InheritedSocket(fd);
    }

    private static boolean isListening(final int fd) {
        final long answer = RawMemory.allocate(2 * Integer.BYTES);
        try {
            RawMemory.putLe32(answer + Integer.BYTES, Integer.BYTES);
            return LIBC.getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, answer, answer + Integer.BYTES) == 0
                    && RawMemory.le32(answer) != 0;
        } finally {
            RawMemory.free(answer, 2 * Integer.BYTES);
        }
    }

    @Override
    public UnixSocketChannel accept(final FdWaiter waiter) throws IOException {
        if (!listening) {
            // One front-end, and no second one: then there is nothing to wait for but the end.
            final boolean first = !taken && !waiter.isStopped();
            taken = true;
            while (!first && waiter.sleep(Integer.MAX_VALUE)) {
                // Only stopping ends the sleep.
            }
            return first ? UnixSocketChannel.fromFD(fd) : null;
        }
        while (waiter.awaitReadable(fd)) {
            final int accepted = LIBC.accept4(fd, 0, 0, Libc.SOCK_CLOEXEC);
            if (accepted >= 0) {
                return UnixSocketChannel.fromFD(accepted);
            }
            if (!isTransient(Libc.lastErrno())) {
                throw new IOException("accept on descriptor %d: %s".formatted(fd, Libc.lastError()));
            }
        }
        return null;
    }

    /** The front-end that knocked has gone, or a signal came. */
    private static boolean isTransient(final int errno) {
        return errno == Errno.EAGAIN.intValue()
                || errno == Errno.ECONNABORTED.intValue()
                || errno == Errno.EINTR.intValue();
    }

    @Override
    public String describe() {
        return (listening ? "listening on" : "serving") + " descriptor " + fd;
    }

    /** The listening socket's file, if it has one, belongs to whoever made it. */
    @Override
    public void close() {
        if (listening || !taken) {
            LIBC.close(fd);
        }
    }
}

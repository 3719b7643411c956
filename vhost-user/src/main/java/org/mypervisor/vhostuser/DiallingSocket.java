package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.POSIX_CALLS;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import jnr.constants.platform.Errno;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** A socket that the front-end serves: we dial, and again every second. */
final class DiallingSocket implements FrontendSource {
    private static final Logger LOG = LogManager.getLogger(DiallingSocket.class);

    private static final int RETRY_MILLIS = 1000;
    private static final String BUSY = "the listener does not accept connections now";

    private final Path path;
    private boolean dialled;
    private String hindrance;

    DiallingSocket(final Path path) {
        this.path = path;
    }

    @Override
    public UnixSocketChannel accept(final FdWaiter waiter) {
        while (!waiter.isStopped()) {
            if (dialled && !waiter.sleep(RETRY_MILLIS)) {
                return null;
            }
            dialled = true;
            try {
                final UnixSocketChannel channel = connect(path);
                hindrance = null;
                return channel;
            } catch (final IOException e) {
                complain(e);
            }
        }
        return null;
    }

    /** A front-end that is not there yet is nothing to talk about; what somebody has to set right is, once. */
    private void complain(final IOException failure) {
        final String present = hindrance(path, failure);
        if (present == null) {
            LOG.debug("nobody listens on {}: {}", path, failure.getMessage());
        } else if (!present.equals(hindrance)) {
            LOG.warn("cannot connect to {}: {}; we keep trying", path, present);
        }
        hindrance = present;
    }

    /** What has to be set right before anybody can connect, or null when only the front-end is missing. */
    static String hindrance(final Path path, final IOException failure) {
        if (is(failure, Errno.EACCES)) {
            return "this user may not, says its mode or that of a folder above; give this user access";
        }
        if (!Files.isDirectory(path.toAbsolutePath().getParent())) {
            return "its folder does not exist; create it or correct the path";
        }
        if (Files.exists(path) && !isSocket(path)) {
            return "it is not a socket; remove it or correct the path";
        }
        return is(failure, Errno.ECONNREFUSED) || is(failure, Errno.ENOENT) || isBusy(failure)
                ? null
                : failure.getMessage();
    }

    private static boolean isSocket(final Path path) {
        try {
            return ((Integer) Files.getAttribute(path, "unix:mode") & 0xF000) == 0xC000;
        } catch (final IOException e) {
            // It is gone by now.
            return true;
        }
    }

    private static boolean isBusy(final IOException failure) {
        return BUSY.equals(failure.getMessage());
    }

    /** The exception has the text of its errno, but not the number. */
    static boolean is(final IOException failure, final Errno errno) {
        return String.valueOf(failure.getMessage()).contains(POSIX_CALLS.strerror(errno.intValue()));
    }

    /**
     * Connects without ever waiting: a listener whose backlog is full answers as if it were busy.
     *
     * @throws IOException when nobody listens there, or nobody accepts
     */
    static UnixSocketChannel connect(final Path path) throws IOException {
        final UnixSocketChannel channel = UnixSocketChannel.create();
        try {
            channel.configureBlocking(false);
            if (!channel.connect(new UnixSocketAddress(path.toString()))) {
                throw new IOException(BUSY);
            }
            channel.configureBlocking(true);
            return channel;
        } catch (final IOException e) {
            channel.close();
            throw e;
        }
    }

    @Override
    public String describe() {
        return "connecting to " + path;
    }

    @Override
    public void close() {}
}

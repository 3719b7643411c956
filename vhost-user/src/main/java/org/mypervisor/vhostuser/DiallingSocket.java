package org.mypervisor.vhostuser;

import java.io.IOException;
import java.nio.file.Path;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/** A socket that the front-end serves: we dial, and again every second. */
final class DiallingSocket implements FrontendSource {
    private static final Logger LOG = LogManager.getLogger(DiallingSocket.class);

    private static final int RETRY_MILLIS = 1000;

    private final Path path;
    private boolean dialled;

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
                return connect(path);
            } catch (final IOException e) {
                LOG.debug("nobody listens on {}: {}", path, e.getMessage());
            }
        }
        return null;
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
                throw new IOException("the listener does not accept connections now");
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

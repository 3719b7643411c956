package org.mypervisor.vhostuser;

import java.io.IOException;
import java.nio.file.Path;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;

/** Connections to sockets that others serve. */
final class ConnectingSocket {
    private ConnectingSocket() {}

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
}

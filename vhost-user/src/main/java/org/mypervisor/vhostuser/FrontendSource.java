package org.mypervisor.vhostuser;

import java.io.IOException;
import jnr.unixsocket.UnixSocketChannel;

/** Where the connections of a port come from, one after the other. Used by the port's thread. */
interface FrontendSource extends AutoCloseable {
    /**
     * Waits for the next front-end.
     *
     * @return its connection, which the caller closes, or null when the wait was stopped
     */
    UnixSocketChannel accept(FdWaiter waiter) throws IOException;

    /** What it does, for people, such as "listening on /run/a.sock". */
    String describe();

    @Override
    void close() throws IOException;
}

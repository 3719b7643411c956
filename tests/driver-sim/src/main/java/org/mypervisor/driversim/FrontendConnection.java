package org.mypervisor.driversim;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;

/**
 * A front-end's connection to its back-end in either role: as client it dials, as server it listens and the back-end
 * dials. Owns the connection and the socket file it listens on until {@link #close()}. For one thread.
 */
public class FrontendConnection implements AutoCloseable {
    public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(5);

    private final Path path;
    private final UnixServerSocketChannel listening;
    private Duration timeout = DEFAULT_TIMEOUT;
    private VhostUserSocket socket;

    FrontendConnection(final Path path, final boolean server) {
        this.path = path;
        if (!server) {
            listening = null;
            return;
        }
        try {
            listening = UnixServerSocketChannel.open();
            listening.socket().bind(new UnixSocketAddress(path.toFile()), 1);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Bounds every later wait; {@link #DEFAULT_TIMEOUT} until set. */
    public final void setTimeout(final Duration timeout) {
        this.timeout = timeout;
        if (socket != null) {
            socket.setTimeout(timeout);
        }
    }

    public final Duration timeout() {
        return timeout;
    }

    /** Connects without a word: dials until the timeout, or waits for the back-end to dial. */
    public final void open() {
        if (listening == null) {
            socket = VhostUserSocket.connect(path, timeout);
            return;
        }
        if (!Libc.poll(listening.getFD(), Libc.POLLIN, timeout)) {
            throw new AssertionError("timeout: waited " + timeout + " for a back-end to connect to " + path);
        }
        try {
            socket = new VhostUserSocket(listening.accept(), timeout);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Closes the connection as a dying front-end does; {@link #open} may follow. */
    public final void disconnect() {
        if (socket != null) {
            socket.close();
            socket = null;
        }
    }

    /** Whether there is a connection as far as this side knows. */
    public final boolean isOpen() {
        return socket != null;
    }

    /** The connection, for raw bytes and for {@link VhostUserSocket#expectClosed}. */
    public final VhostUserSocket socket() {
        if (socket == null) {
            throw new IllegalStateException("no back-end is connected");
        }
        return socket;
    }

    @Override
    public void close() {
        disconnect();
        if (listening == null) {
            return;
        }
        try {
            listening.close();
            Files.deleteIfExists(path);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

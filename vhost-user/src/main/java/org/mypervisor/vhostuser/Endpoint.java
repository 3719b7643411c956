package org.mypervisor.vhostuser;

import java.io.IOException;
import java.util.OptionalInt;
import jnr.unixsocket.UnixSocketChannel;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * The socket of one port and the thread that serves it, one front-end after the other.
 *
 * <p>In either role a front-end may come and go at any moment; every connection is a fresh {@link BackendSession}.
 */
public final class Endpoint implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(Endpoint.class);

    private static final int RETRY_MILLIS = 1000;

    /** For the thread to end; only a front-end's own file system can make it last longer. */
    private static final int CLOSE_MILLIS = 5000;

    /** What a port can be. */
    public enum State {
        /** Connected, and its first queue pair started and enabled. */
        UP,
        DOWN,
        /** A fault stopped a ring or the memory went away. */
        BROKEN
    }

    private final String port;
    private final PortLog log;
    private final DeviceOptions device;
    private final DataPlane dataPlane;
    private final FdWaiter waiter;
    private final Thread thread;
    private final FrontendSource source;
    private volatile BackendSession session;

    /**
     * Binds the socket when we are the one who listens; no front-end is served before {@link #start}.
     *
     * @param port name for log lines
     * @throws IOException when the socket cannot be had; the message says why and what to do
     */
    public Endpoint(
            final String port, final SocketOptions options, final DeviceOptions device, final DataPlane dataPlane)
            throws IOException {
        this.port = port;
        this.log = new PortLog(port);
        this.device = device;
        this.dataPlane = dataPlane;
        this.source = source(options);
        this.waiter = new FdWaiter();
        this.thread = new Thread(this::serve, "port-" + port);
    }

    /** Loads the bindings of sockets, which the first endpoint needs. Any thread. */
    public static void prepare() {
        try {
            UnixSocketChannel.create().close();
        } catch (final IOException e) {
            // It comes back where a socket is needed.
            LOG.debug("no socket to begin with", e);
        }
    }

    private static FrontendSource source(final SocketOptions options) throws IOException {
        final OptionalInt inherited = InheritedSocket.descriptor(options.path());
        if (inherited.isPresent()) {
            return InheritedSocket.of(inherited.getAsInt());
        }
        options.checkPath();
        return options.listen() ? ListeningSocket.bind(options) : new DiallingSocket(options.path());
    }

    public void start() {
        LOG.info("port {}: {}", port, source.describe());
        thread.start();
    }

    private void serve() {
        while (!waiter.isStopped()) {
            try (UnixSocketChannel channel = source.accept(waiter)) {
                if (channel != null) {
                    serve(channel);
                }
            } catch (final IOException e) {
                log.warn("port {}: {}", port, e.getMessage());
                pauseBeforeRetry();
            } catch (final RuntimeException | Error e) {
                // A mistake of ours, or want of memory, costs the connection, not the port.
                logFailure(e);
                pauseBeforeRetry();
            }
        }
    }

    private void logFailure(final Throwable why) {
        try {
            LOG.error("port {}: the connection is given up", port, why);
        } catch (final Error e) {
            // Memory may be too short even for this; the port must go on.
        }
    }

    private void serve(final UnixSocketChannel channel) throws IOException {
        log.info("port {}: front-end connected", port);
        final BackendSession current =
                new BackendSession(port, log, new MessageSocket(channel.getFD(), waiter), device, dataPlane);
        session = current;
        try {
            current.run();
        } finally {
            session = null;
            log.info("port {} is down: front-end disconnected", port);
        }
        if (current.isCallBlocked()) {
            // Whoever does this again and again shall not get far.
            pauseBeforeRetry();
        }
    }

    private void pauseBeforeRetry() {
        waiter.sleep(RETRY_MILLIS);
    }

    public State state() {
        final BackendSession current = session;
        return current == null ? State.DOWN : current.state();
    }

    /** The negotiated virtio features, 0 when there are none. */
    public long features() {
        final BackendSession current = session;
        return current == null ? 0 : current.acceptedFeatures();
    }

    /**
     * Reports rings that the worker found broken since the last call, and breaks the port if its front-end cut the memory
     * short: JDK 17 may not tell the worker. Any thread but the port's own and a worker's.
     */
    public void watch() {
        final BackendSession current = session;
        if (current != null) {
            current.watch();
        }
    }

    /**
     * Breaks the port if its front-end cut the memory short. Any thread but a worker's.
     *
     * @return true when it was found and broken now
     */
    public boolean breakIfCutShort() {
        final BackendSession current = session;
        return current != null && current.breakIfCutShort();
    }

    /** Breaks the port because of its memory. Any thread but a worker's. */
    public void breakMemory(final String why) {
        final BackendSession current = session;
        if (current != null) {
            current.breakMemory(why);
        }
    }

    /** Ends the connection, stops the rings cleanly and removes our socket. */
    @Override
    public void close() throws IOException {
        waiter.stop();
        try {
            thread.join(CLOSE_MILLIS);
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        source.close();
        if (thread.isAlive()) {
            LOG.warn("port {}: left behind; its front-end's file system does not answer", port);
        } else {
            waiter.close();
        }
    }
}

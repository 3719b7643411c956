package org.mypervisor.offload.control;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.function.Supplier;
import jnr.unixsocket.UnixSocketChannel;
import org.apache.hc.core5.http.ClassicHttpRequest;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.ContentType;
import org.apache.hc.core5.http.HttpException;
import org.apache.hc.core5.http.HttpStatus;
import org.apache.hc.core5.http.Method;
import org.apache.hc.core5.http.config.Http1Config;
import org.apache.hc.core5.http.impl.HttpProcessors;
import org.apache.hc.core5.http.impl.io.DefaultBHttpServerConnection;
import org.apache.hc.core5.http.impl.io.HttpService;
import org.apache.hc.core5.http.io.entity.StringEntity;
import org.apache.hc.core5.http.message.BasicClassicHttpResponse;
import org.apache.hc.core5.http.protocol.HttpCoreContext;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.vhostuser.FdWaiter;
import org.mypervisor.vhostuser.ListeningSocket;
import org.mypervisor.vhostuser.SocketOptions;

/**
 * The control socket: {@code GET /v1/stats} answers a {@link StatsReport} as JSON, {@code GET /v1/rules} a
 * {@link RulesReport}.
 *
 * <p>One thread accepts, one short-lived thread serves each client; none of them touches the packet way. When there are
 * more clients than threads, whoever has been here longest has to go: a silent client keeps nobody out.
 */
public final class ControlServer implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(ControlServer.class);

    /** Counters of ports, paths and workers. */
    public static final String STATS = "/v1/stats";

    /** Hits of rules. */
    public static final String RULES = "/v1/rules";

    private static final int MODE = 0660;
    private static final int RETRY_MILLIS = 1000;
    private static final int MAX_CLIENTS = 8;
    private static final int POLL_MILLIS = 5;

    private final FdWaiter waiter = new FdWaiter();
    private final ListeningSocket listening;
    private final Map<String, Supplier<String>> resources;
    private final HttpService service;
    /** The oldest first. */
    private final Queue<UnixSocketChannel> clients = new ConcurrentLinkedQueue<>();

    private final Semaphore seats = new Semaphore(MAX_CLIENTS);
    private final Thread thread = new Thread(this::accept, "control");

    /** @throws IOException when the socket cannot be had; the message says why and what to do */
    public ControlServer(final Path path, final Supplier<StatsReport> stats, final Supplier<RulesReport> rules)
            throws IOException {
        this.resources = new TreeMap<>(Map.of(
                STATS, () -> stats.get().toJson(), RULES, () -> rules.get().toJson()));
        this.listening = ListeningSocket.bind(new SocketOptions(path, true, MODE, null, null));
        this.service = new HttpService(
                HttpProcessors.server("mypervisor"),
                (request, trigger, context) -> trigger.submitResponse(answer(request)));
        thread.setDaemon(true);
        thread.start();
    }

    private void accept() {
        while (!waiter.isStopped()) {
            try {
                final UnixSocketChannel client = listening.accept(waiter);
                if (client != null) {
                    seat(client);
                }
            } catch (final IOException | RuntimeException | Error e) {
                LOG.warn("control socket: {}", e.getMessage());
                waiter.sleep(RETRY_MILLIS);
            }
        }
    }

    private void seat(final UnixSocketChannel client) throws IOException {
        while (!seats.tryAcquire()) {
            end(clients.peek());
            if (!waiter.sleep(POLL_MILLIS)) {
                client.close();
                return;
            }
        }
        clients.add(client);
        final Thread serving = new Thread(() -> serve(client), "control-client");
        serving.setDaemon(true);
        serving.start();
    }

    /** Its thread finds out, even in the middle of a read or write, and closes. */
    private static void end(final UnixSocketChannel client) {
        try {
            if (client != null) {
                client.shutdownInput();
                client.shutdownOutput();
            }
        } catch (final IOException e) {
            LOG.debug("control client: {}", e.getMessage());
        }
    }

    private void serve(final UnixSocketChannel client) {
        try (client;
                DefaultBHttpServerConnection connection = new DefaultBHttpServerConnection(null, Http1Config.DEFAULT)) {
            connection.bind(client.socket());
            while (connection.isOpen() && !waiter.isStopped()) {
                service.handleRequest(connection, HttpCoreContext.create());
            }
        } catch (final IOException | HttpException e) {
            LOG.debug("control client: {}", e.getMessage());
        } finally {
            clients.remove(client);
            seats.release();
        }
    }

    private ClassicHttpResponse answer(final ClassicHttpRequest request) {
        final Supplier<String> resource = resources.get(request.getPath());
        if (resource == null) {
            return text(HttpStatus.SC_NOT_FOUND, "there is nothing here but " + String.join(", ", resources.keySet()));
        }
        if (!Method.GET.isSame(request.getMethod())) {
            return text(HttpStatus.SC_METHOD_NOT_ALLOWED, request.getPath() + " answers GET only");
        }
        final ClassicHttpResponse response = new BasicClassicHttpResponse(HttpStatus.SC_OK);
        response.setEntity(new StringEntity(resource.get(), ContentType.APPLICATION_JSON));
        return response;
    }

    private static ClassicHttpResponse text(final int status, final String text) {
        final ClassicHttpResponse response = new BasicClassicHttpResponse(status);
        response.setEntity(new StringEntity(text + "\n", ContentType.TEXT_PLAIN));
        return response;
    }

    /** Ends all conversations and removes the socket. */
    @Override
    public void close() throws IOException {
        waiter.stop();
        clients.forEach(ControlServer::end);
        try {
            thread.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        listening.close();
        waiter.close();
    }
}

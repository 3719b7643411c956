package org.mypervisor.offload.control;

import java.io.IOException;
import java.nio.file.Path;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.apache.hc.core5.http.ClassicHttpResponse;
import org.apache.hc.core5.http.HttpException;
import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.HttpStatus;
import org.apache.hc.core5.http.Method;
import org.apache.hc.core5.http.config.Http1Config;
import org.apache.hc.core5.http.impl.HttpProcessors;
import org.apache.hc.core5.http.impl.io.DefaultBHttpClientConnection;
import org.apache.hc.core5.http.impl.io.HttpRequestExecutor;
import org.apache.hc.core5.http.io.entity.EntityUtils;
import org.apache.hc.core5.http.message.BasicClassicHttpRequest;
import org.apache.hc.core5.http.protocol.HttpCoreContext;
import org.apache.hc.core5.http.protocol.HttpProcessor;

/** Asks a running back-end through its control socket. */
public final class ControlClient {
    private final Path socket;

    public ControlClient(final Path socket) {
        this.socket = socket;
    }

    /** @throws IOException says what is wrong with the socket or the answer */
    public StatsReport stats() throws IOException {
        return StatsReport.fromJson(get(ControlServer.STATS));
    }

    /** @throws IOException says what is wrong with the socket or the answer */
    public RulesReport rules() throws IOException {
        return RulesReport.fromJson(get(ControlServer.RULES));
    }

    /** The body of a successful answer. */
    public String get(final String resource) throws IOException {
        try (UnixSocketChannel channel = connect();
                DefaultBHttpClientConnection connection = new DefaultBHttpClientConnection(Http1Config.DEFAULT)) {
            connection.bind(channel.socket());
            final BasicClassicHttpRequest request =
                    new BasicClassicHttpRequest(Method.GET, new HttpHost("localhost"), resource);
            final HttpProcessor processor = HttpProcessors.client("mypervisor");
            final HttpRequestExecutor executor = new HttpRequestExecutor();
            final HttpCoreContext context = HttpCoreContext.create();
            executor.preProcess(request, processor, context);
            try (ClassicHttpResponse response = executor.execute(request, connection, context)) {
                final String body = EntityUtils.toString(response.getEntity());
                if (response.getCode() != HttpStatus.SC_OK) {
                    throw new IOException("%s: %s".formatted(socket, body.strip()));
                }
                return body;
            }
        } catch (final HttpException e) {
            throw new IOException("%s does not speak HTTP: %s".formatted(socket, e.getMessage()), e);
        }
    }

    private UnixSocketChannel connect() throws IOException {
        try {
            return UnixSocketChannel.open(new UnixSocketAddress(socket.toString()));
        } catch (final IOException e) {
            throw new IOException(
                    "no back-end answers on %s (%s); was it started with --control %s?"
                            .formatted(socket, e.getMessage(), socket),
                    e);
        }
    }
}

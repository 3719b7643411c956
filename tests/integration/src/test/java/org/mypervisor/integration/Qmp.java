package org.mypervisor.integration;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A connection to QEMU's monitor. */
final class Qmp implements AutoCloseable {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final SocketChannel socket;
    private final BufferedReader in;
    private final OutputStream out;
    private final List<String> events = new ArrayList<>();

    private Qmp(final SocketChannel socket) {
        this.socket = socket;
        this.in = new BufferedReader(new InputStreamReader(Channels.newInputStream(socket), StandardCharsets.UTF_8));
        this.out = Channels.newOutputStream(socket);
    }

    static Qmp connect(final Path path) throws IOException {
        final Qmp qmp = new Qmp(SocketChannel.open(UnixDomainSocketAddress.of(path)));
        qmp.next(); // the greeting
        qmp.execute("qmp_capabilities");
        return qmp;
    }

    void execute(final String command) throws IOException {
        execute(command, "{}");
    }

    /** @param arguments JSON in which ' stands for " */
    void execute(final String command, final String arguments) throws IOException {
        final String text = "{'execute': '%s', 'arguments': %s}\n"
                .formatted(command, arguments)
                .replace('\'', '"');
        out.write(text.getBytes(StandardCharsets.UTF_8));
        out.flush();
        for (JsonNode answer = next(); ; answer = next()) {
            if (answer.has("error")) {
                throw new AssertionError(text + answer);
            }
            if (answer.has("return")) {
                return;
            }
            events.add(answer.path("event").asText());
        }
    }

    /** Returns when this event has come since the connection was made. */
    void await(final String event) throws IOException {
        while (!events.contains(event)) {
            events.add(next().path("event").asText());
        }
        events.clear();
    }

    private JsonNode next() throws IOException {
        final String line = in.readLine();
        if (line == null) {
            throw new AssertionError("QEMU ended");
        }
        return JSON.readTree(line);
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}

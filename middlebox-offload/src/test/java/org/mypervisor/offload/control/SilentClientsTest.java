package org.mypervisor.offload.control;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Clients of the control socket that say nothing and stay. */
@Timeout(30)
@SuppressWarnings("try") // The server works by being there.
final class SilentClientsTest {
    private static final StatsReport REPORT = new StatsReport(1, List.of(), List.of(), List.of());

    @TempDir
    private Path folder;

    @Test
    void shouldAnswerWhenManySilentClientsStay() throws IOException {
        final Path socket = folder.resolve("c");
        final List<UnixSocketChannel> silent = new ArrayList<>();
        try (ControlServer server = new ControlServer(socket, () -> REPORT, () -> new RulesReport(List.of()))) {
            for (int i = 0; i < 100; i++) {
                silent.add(UnixSocketChannel.open(new UnixSocketAddress(socket.toString())));
            }
            assertEquals(REPORT, new ControlClient(socket).stats());
            final long threads = Thread.getAllStackTraces().keySet().stream()
                    .filter(thread -> thread.getName().equals("control-client"))
                    .count();
            assertTrue(threads <= 8, () -> threads + " threads");
        } finally {
            for (final UnixSocketChannel channel : silent) {
                channel.close();
            }
        }
    }
}

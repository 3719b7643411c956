package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.offload.control.ControlClient;
import org.mypervisor.offload.control.ControlServer;
import org.mypervisor.offload.control.RulesReport;
import org.mypervisor.offload.control.StatsReport;

/** Clients of the control socket that say nothing and stay. */
@Timeout(30)
@SuppressWarnings("try") // The server works by being there.
final class SilentClientsTest {
    private static final StatsReport REPORT = new StatsReport(1, List.of(), List.of(), List.of());

    @TempDir
    private java.nio.file.Path folder;

    @Test
    void shouldAnswerWhenManySilentClientsStay() throws IOException {
        final java.nio.file.Path socket = folder.resolve("c");
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

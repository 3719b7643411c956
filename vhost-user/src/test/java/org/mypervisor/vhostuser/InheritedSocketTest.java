package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Frontend;

/** Sockets that whoever starts us opened: vhost-user specification, "Back-end program conventions". */
final class InheritedSocketTest {
    @TempDir
    private Path folder;

    private static Endpoint endpoint(final int fd) throws IOException {
        final Path path = Path.of("/dev/fd/" + fd);
        return new Endpoint(
                "net", new SocketOptions(path, true, 0660, null, null), DeviceOptions.defaults(), new Recorder());
    }

    private UnixServerSocketChannel listen() throws IOException {
        final UnixServerSocketChannel listening = UnixServerSocketChannel.open();
        listening.socket().bind(new UnixSocketAddress(folder.resolve("s").toString()));
        return listening;
    }

    @Test
    void shouldServeOneFrontendAfterTheOtherOnAListeningDescriptor() throws IOException {
        try (UnixServerSocketChannel listening = listen();
                Endpoint endpoint = endpoint(Libc.POSIX_CALLS.dup(listening.getFD()))) {
            endpoint.start();
            for (int i = 0; i < 3; i++) {
                try (Frontend frontend = Frontend.client(folder.resolve("s"))) {
                    frontend.connectLikeQemu();
                    assertTrue(frontend.offered() != 0);
                }
            }
        }
        assertTrue(Files.exists(folder.resolve("s")), "the socket file belongs to whoever made it");
    }

    @Test
    void shouldServeTheFrontendOfAConnectedDescriptorAndThenWait() throws IOException {
        try (UnixServerSocketChannel listening = listen();
                Frontend frontend = Frontend.client(folder.resolve("s"))) {
            final CompletableFuture<Frontend> handshake = CompletableFuture.supplyAsync(frontend::connectLikeQemu);
            try (UnixSocketChannel connected = listening.accept();
                    Endpoint endpoint = endpoint(Libc.POSIX_CALLS.dup(connected.getFD()))) {
                endpoint.start();
                assertTrue(handshake.join().offered() != 0);
                frontend.disconnect();
                assertEquals(Endpoint.State.DOWN, endpoint.state());
            }
        }
    }

    @Test
    void shouldSayWhatIsWrongWithTheDescriptor() throws IOException {
        final IOException closed = assertThrows(IOException.class, () -> endpoint(987_654));
        assertTrue(closed.getMessage().contains("987654 is not open"), closed.getMessage());
        try (EventFd other = EventFd.create()) {
            final IOException noSocket = assertThrows(IOException.class, () -> endpoint(other.fd()));
            assertTrue(noSocket.getMessage().contains("must be a UNIX socket"), noSocket.getMessage());
        }
    }
}

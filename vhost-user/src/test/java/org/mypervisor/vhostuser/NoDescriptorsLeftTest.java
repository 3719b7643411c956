package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** An inherited listening socket whose next connection cannot be had. */
@Timeout(30)
class NoDescriptorsLeftTest {
    @TempDir
    Path folder;

    @Test
    void shouldSayWhyInsteadOfAskingWithoutEnd() throws IOException {
        final Path path = folder.resolve("s");
        try (UnixServerSocketChannel listening = UnixServerSocketChannel.open();
                FdWaiter waiter = new FdWaiter()) {
            listening.socket().bind(new UnixSocketAddress(path.toString()));
            final int fd = Libc.POSIX_CALLS.dup(listening.getFD());
            try (InheritedSocket socket = InheritedSocket.of(fd);
                    UnixSocketChannel client = UnixSocketChannel.open(new UnixSocketAddress(path.toString()));
                    EventFd other = EventFd.create()) {
                assertTrue(client.isConnected());
                // In the place of the socket something that is readable and accepts nothing: the errno differs, no
                // more.
                other.signal();
                Libc.POSIX_CALLS.dup2(other.fd(), fd);
                final String why = assertTimeoutPreemptively(
                        Duration.ofSeconds(5), () -> assertThrows(IOException.class, () -> socket.accept(waiter))
                                .getMessage());
                assertTrue(why.contains("accept"), why);
            }
        }
    }
}

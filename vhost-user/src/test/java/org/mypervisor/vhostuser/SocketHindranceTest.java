package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import jnr.ffi.LibraryLoader;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is said about a socket that we cannot connect to. */
@Timeout(30)
class SocketHindranceTest {
    private static final int NOBODY = 65534;
    private static final Users USERS = LibraryLoader.create(Users.class).load("c");

    @TempDir
    Path folder;

    /** Of libc. */
    public interface Users {
        /** The calling thread's alone; answers the one before. */
        int setfsuid(int uid);
    }

    private static String hindrance(final Path path) {
        return DiallingSocket.hindrance(path, assertThrows(IOException.class, () -> DiallingSocket.connect(path)
                .close()));
    }

    private Path staleSocket() throws IOException {
        final Path path = folder.resolve("s");
        try (UnixServerSocketChannel dead = UnixServerSocketChannel.open()) {
            dead.socket().bind(new UnixSocketAddress(path.toFile()));
        }
        return path;
    }

    @Test
    void shouldSayNothingOfAFrontendThatIsNotThereYet() throws IOException {
        assertNull(hindrance(folder.resolve("none")));
        assertNull(hindrance(staleSocket()));
    }

    @Test
    void shouldSayWhatIsInTheWay() throws IOException {
        assertTrue(hindrance(folder.resolve("no/s")).contains("folder"));
        assertTrue(hindrance(Files.createFile(folder.resolve("f"))).contains("not a socket"));
        assertTrue(hindrance(Files.createDirectory(folder.resolve("d"))).contains("not a socket"));
    }

    @Test
    void shouldTellForbiddenFromServed() throws IOException {
        final Path path = staleSocket();
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
        // Once as ourselves: the other user may not be allowed to load our classes.
        hindrance(path);
        final SocketOptions options = new SocketOptions(path, true, 0660, null, null);
        final int we = USERS.setfsuid(NOBODY);
        final String dialling;
        final String listening;
        try {
            assumeTrue(USERS.setfsuid(NOBODY) == NOBODY, "only root can be another user for a moment");
            dialling = hindrance(path);
            listening = assertThrows(IOException.class, () -> ListeningSocket.bind(options)
                            .close())
                    .getMessage();
        } finally {
            USERS.setfsuid(we);
        }
        assertTrue(dialling.contains("access"), dialling);
        assertTrue(listening.contains("may not connect"), listening);
        assertFalse(listening.contains("in use"), listening);
        assertTrue(Files.exists(path));
    }
}

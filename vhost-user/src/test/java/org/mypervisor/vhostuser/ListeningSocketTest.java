package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.util.Optional;
import java.util.stream.Stream;
import jnr.unixsocket.UnixDatagramChannel;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The socket file: whose it may replace, what it looks like, and that only our own is removed. */
@Timeout(30)
class ListeningSocketTest {
    @TempDir
    Path folder;

    private static SocketOptions at(final Path path) {
        return new SocketOptions(path, true, 0660, null, null);
    }

    private static String refusal(final SocketOptions options) {
        return assertThrows(
                        IOException.class, () -> ListeningSocket.bind(options).close())
                .getMessage();
    }

    private static int type(final Path path) throws IOException {
        return (Integer) Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS) & 0xF000;
    }

    @Test
    void shouldReplaceSocketThatADeadProcessLeft_VPP_418() throws IOException {
        final Path path = folder.resolve("s");
        final UnixServerSocketChannel dead = UnixServerSocketChannel.open();
        dead.socket().bind(new UnixSocketAddress(path.toFile()));
        dead.close();
        assertTrue(Files.exists(path), "its file stays");
        try (TestPort port = TestPort.running(folder)) {
            port.assertRingsWork();
        }
        assertFalse(Files.exists(path), "ours does not");
    }

    @Test
    void shouldRefuseSocketInUse() throws IOException {
        final Path path = folder.resolve("s");
        try (TestPort port = TestPort.running(folder)) {
            assertTrue(refusal(at(path)).contains("in use"));
            assertTrue(Files.exists(path));
            port.assertRingsWork();
            port.frontend.reconnectLikeQemu(port.memory, port.vrings);
            port.fence();
        }
    }

    /** A datagram socket refuses our connection too, and yet somebody serves it. */
    @Test
    void shouldRefuseDatagramSocketInUse() throws IOException {
        final Path path = folder.resolve("d");
        try (UnixDatagramChannel served = UnixDatagramChannel.open()) {
            served.bind(new UnixSocketAddress(path.toFile()));
            assertTrue(refusal(at(path)).contains("in use"));
            assertTrue(Files.exists(path));
        }
    }

    @Test
    void shouldRefuseWhatIsNotASocket() throws IOException {
        final Path file = Files.writeString(folder.resolve("f"), "precious");
        final Path directory = Files.createDirectory(folder.resolve("dir"));
        final Path link = Files.createSymbolicLink(folder.resolve("link"), file);
        for (final Path path : new Path[] {file, directory, link}) {
            assertTrue(refusal(at(path)).contains("not a socket"));
        }
        assertEquals("precious", Files.readString(file));
    }

    @Test
    void shouldSayThatTheFolderIsMissing() {
        assertTrue(refusal(at(folder.resolve("no/s"))).contains("folder"));
    }

    /** sun_path has 108 bytes, the last of them a zero. */
    @Test
    void shouldRefusePathOfMoreThan107Bytes() throws IOException {
        final Path fits = folder.resolve("x".repeat(107 - folder.toString().length() - 1));
        ListeningSocket.bind(at(fits)).close();
        final Path tooLong = Path.of(fits + "z");
        assertTrue(refusal(at(tooLong)).contains("107"));
        assertThrows(
                IOException.class,
                () -> new Endpoint(
                                "p",
                                new SocketOptions(tooLong, false, 0660, null, null),
                                DeviceOptions.defaults(),
                                new Recorder())
                        .close(),
                "also when we connect");
    }

    @ParameterizedTest
    @ValueSource(ints = {0660, 0600, 0666, 0770, 0777, 0400})
    void shouldApplyMode_kube_ovn_1738(final int mode) throws IOException {
        final Path path = folder.resolve("s");
        try (ListeningSocket socket = ListeningSocket.bind(new SocketOptions(path, true, mode, null, null))) {
            assertEquals(mode, (Integer) Files.getAttribute(path, "unix:mode") & 0777, socket.toString());
        }
    }

    /** Others than what a new socket has by itself: root may give it to anybody, a user to another group of his. */
    @Test
    void shouldApplyOwnerAndGroup_atmosphere_1982() throws IOException, InterruptedException {
        final boolean root = outputOf("id", "-u").equals("0");
        final String owner = root ? "nobody" : null;
        final String own = outputOf("id", "-gn");
        final Optional<String> group = root
                ? Optional.of("nogroup")
                : Stream.of(outputOf("id", "-Gn").split(" "))
                        .filter(name -> !name.equals(own))
                        .findFirst();
        assumeTrue(group.isPresent(), "this user is in no second group, so there is none to give the socket to");
        final Path path = folder.resolve("s");
        try (ListeningSocket socket = ListeningSocket.bind(new SocketOptions(path, true, 0640, owner, group.get()))) {
            final PosixFileAttributes attributes = Files.readAttributes(path, PosixFileAttributes.class);
            assertEquals(
                    root ? "nobody" : outputOf("id", "-un"), attributes.owner().getName());
            assertEquals(group.get(), attributes.group().getName());
            assertEquals(0640, (Integer) Files.getAttribute(path, "unix:mode") & 0777, socket.toString());
        }
    }

    private static String outputOf(final String... command) throws IOException, InterruptedException {
        final Process process = new ProcessBuilder(command).start();
        final String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor());
        return output.strip();
    }

    @Test
    void shouldLeaveNothingBehindWhenGroupDoesNotExist_libvirt_47() {
        final ProcessState before = ProcessState.now();
        final Path path = folder.resolve("s");
        final SocketOptions options = new SocketOptions(path, true, 0660, null, "no-such-group");
        assertTrue(refusal(options).contains("no-such-group"));
        assertThrows(
                IOException.class, () -> new Endpoint("p", options, DeviceOptions.defaults(), new Recorder()).close());
        assertFalse(Files.exists(path));
        before.awaitSame();
    }

    @Test
    void shouldNotRemoveFileThatIsNotItsOwn() throws IOException {
        final Path path = folder.resolve("s");
        final ListeningSocket ours = ListeningSocket.bind(at(path));
        Files.delete(path);
        try (ListeningSocket theirs = ListeningSocket.bind(at(path))) {
            ours.close();
            assertEquals(0xC000, type(path), theirs.toString());
        }
        assertFalse(Files.exists(path));
        final ListeningSocket another = ListeningSocket.bind(at(path));
        Files.delete(path);
        Files.writeString(path, "foreign");
        another.close();
        assertEquals("foreign", Files.readString(path));
    }

    @Test
    void shouldCloseQuietlyWhenItsFileIsGone() throws IOException {
        final Path path = folder.resolve("s");
        final ListeningSocket ours = ListeningSocket.bind(at(path));
        Files.delete(path);
        ours.close();
        assertFalse(Files.exists(path));
    }
}

package org.mypervisor.vhostuser;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.UserPrincipalLookupService;
import java.nio.file.attribute.UserPrincipalNotFoundException;
import java.util.EnumSet;
import java.util.Set;
import jnr.constants.platform.Errno;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;

/**
 * A UNIX socket file of ours. It replaces what a dead process left behind, never a file that is no socket nor a socket
 * that somebody serves, and on closing it removes its own file only.
 */
public final class ListeningSocket implements FrontendSource {
    private static final String INODE = "unix:ino";

    private final Path path;
    private final UnixServerSocketChannel channel;
    private final Object inode;

    private ListeningSocket(final Path path, final UnixServerSocketChannel channel) throws IOException {
        this.path = path;
        this.channel = channel;
        this.inode = Files.getAttribute(path, INODE);
    }

    /**
     * Creates the socket file and listens.
     *
     * @throws IOException says what is in the way and what to do about it
     */
    public static ListeningSocket bind(final SocketOptions options) throws IOException {
        final Path path = options.path();
        options.checkPath();
        removeStale(path);
        final UnixServerSocketChannel channel = UnixServerSocketChannel.open();
        try {
            channel.configureBlocking(false);
            try {
                channel.socket().bind(new UnixSocketAddress(path.toString()));
            } catch (final IOException e) {
                throw new IOException(
                        "cannot create socket %s: %s; does its folder exist, and may this user write there?"
                                .formatted(path, e.getMessage()),
                        e);
            }
            try {
                setAccess(options);
                return new ListeningSocket(path, channel);
            } catch (final IOException e) {
                Files.deleteIfExists(path);
                throw e;
            }
        } catch (final IOException e) {
            channel.close();
            throw e;
        }
    }

    private static void removeStale(final Path path) throws IOException {
        final int type;
        try {
            type = (Integer) Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS) & 0xF000;
        } catch (final NoSuchFileException e) {
            return;
        }
        if (type != 0xC000) {
            throw new IOException("%s exists and is not a socket; remove it or choose another path".formatted(path));
        }
        if (isServed(path)) {
            throw new IOException(
                    "socket %s is in use by a running process; stop it or choose another path".formatted(path));
        }
        Files.deleteIfExists(path);
    }

    /** Only a refused connection tells that nobody is there; a datagram socket, for one, fails in another way. */
    private static boolean isServed(final Path path) throws IOException {
        try {
            DiallingSocket.connect(path).close();
            return true;
        } catch (final IOException e) {
            if (DiallingSocket.is(e, Errno.EACCES)) {
                throw new IOException(
                        "socket %s exists, and this user may not connect to it to see whether a process serves it; "
                                        .formatted(path)
                                + "if none does, remove it, else choose another path",
                        e);
            }
            return !DiallingSocket.is(e, Errno.ECONNREFUSED);
        }
    }

    private static void setAccess(final SocketOptions options) throws IOException {
        final PosixFileAttributeView view =
                Files.getFileAttributeView(options.path(), PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
        final UserPrincipalLookupService names = options.path().getFileSystem().getUserPrincipalLookupService();
        String name = options.owner();
        try {
            if (name != null) {
                view.setOwner(names.lookupPrincipalByName(name));
            }
            name = options.group();
            if (name != null) {
                view.setGroup(names.lookupPrincipalByGroupName(name));
            }
        } catch (final UserPrincipalNotFoundException e) {
            // The exception has no name in it on every JDK.
            throw new IOException(
                    "socket %s: this system has no user or group named %s".formatted(options.path(), name));
        }
        Files.setPosixFilePermissions(options.path(), permissions(options.mode()));
    }

    private static Set<PosixFilePermission> permissions(final int mode) {
        final Set<PosixFilePermission> permissions = EnumSet.noneOf(PosixFilePermission.class);
        final PosixFilePermission[] fromHighestBit = PosixFilePermission.values();
        for (int i = 0; i < fromHighestBit.length; i++) {
            if ((mode & (1 << (fromHighestBit.length - 1 - i))) != 0) {
                permissions.add(fromHighestBit[i]);
            }
        }
        return permissions;
    }

    @Override
    public UnixSocketChannel accept(final FdWaiter waiter) throws IOException {
        while (waiter.awaitReadable(channel.getFD())) {
            final UnixSocketChannel accepted = channel.accept();
            if (accepted != null) {
                return accepted;
            }
        }
        return null;
    }

    @Override
    public String describe() {
        return "listening on " + path;
    }

    @Override
    public void close() throws IOException {
        channel.close();
        try {
            if (inode.equals(Files.getAttribute(path, INODE, LinkOption.NOFOLLOW_LINKS))) {
                Files.delete(path);
            }
        } catch (final NoSuchFileException e) {
            // Somebody removed it before us, which is what we want.
        }
    }
}

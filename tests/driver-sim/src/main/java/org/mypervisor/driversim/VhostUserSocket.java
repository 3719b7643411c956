package org.mypervisor.driversim;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HexFormat;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;

/**
 * One connected vhost-user socket, either side of it. Every wait ends after {@link #timeout} with an
 * {@link AssertionError} that says what was awaited. Owns the connection until {@link #close()}. For one thread.
 */
public final class VhostUserSocket implements AutoCloseable {
    private static final int[] NO_FDS = {};
    private static final int EAGAIN = 11;
    private static final int EINTR = 4;
    private static final int MAX_PAYLOAD = 4096;

    private final UnixSocketChannel channel;
    private final FdMessage transfer = new FdMessage();
    private final int fd;
    private Duration timeout;

    VhostUserSocket(final UnixSocketChannel channel, final Duration timeout) {
        this.channel = channel;
        this.timeout = timeout;
        fd = channel.getFD();
    }

    /** Dials a listening peer, again and again until it answers or {@code timeout} is over. */
    public static VhostUserSocket connect(final Path path, final Duration timeout) {
        final long deadline = System.nanoTime() + timeout.toNanos();
        for (; ; ) {
            try {
                return new VhostUserSocket(UnixSocketChannel.open(new UnixSocketAddress(path.toFile())), timeout);
            } catch (final IOException e) {
                if (System.nanoTime() - deadline > 0) {
                    throw new AssertionError("nobody listens on " + path + " within " + timeout, e);
                }
                pause();
            }
        }
    }

    public void setTimeout(final Duration timeout) {
        this.timeout = timeout;
    }

    public Duration timeout() {
        return timeout;
    }

    /** The socket itself, owned by this object. */
    int fd() {
        return fd;
    }

    /** Sends bytes with descriptors attached to the first byte; the caller keeps the descriptors. */
    public void send(final byte[] bytes, final int... fds) {
        if (!trySend(bytes, 0, bytes.length, fds)) {
            throw new UncheckedIOException(new IOException("peer closed while " + bytes.length + " bytes were sent"));
        }
    }

    /** Like {@link #send}, for hostile tests: false when the peer has closed the connection meanwhile. */
    public boolean trySend(final byte[] bytes, final int... fds) {
        return trySend(bytes, 0, bytes.length, fds);
    }

    /** Each byte with a system call of its own, the descriptors with the first; false when the peer closed. */
    public boolean trySendOneByteAtATime(final byte[] bytes, final int... fds) {
        for (int i = 0; i < bytes.length; i++) {
            if (!trySend(bytes, i, 1, i == 0 ? fds : NO_FDS)) {
                return false;
            }
        }
        return true;
    }

    /** Next message; {@code awaited} says in the error what it should have been. The caller owns its descriptors. */
    public Message receive(final String awaited) {
        final Message message = receiveOrNull(awaited);
        if (message == null) {
            throw new AssertionError("connection closed by the peer while waiting for " + awaited);
        }
        return message;
    }

    /** Like {@link #receive}, but null at the end of the stream. */
    public Message receiveOrNull(final String awaited) {
        final byte[] header = new byte[Message.HEADER_SIZE];
        if (!readFully(header, awaited, true)) {
            return null;
        }
        final ByteBuffer fields = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
        final int request = fields.getInt();
        final int flags = fields.getInt();
        final int size = fields.getInt();
        if (size < 0 || size > MAX_PAYLOAD) {
            throw new AssertionError(awaited + ": payload size " + Integer.toUnsignedString(size));
        }
        final byte[] payload = new byte[size];
        readFully(payload, "payload of " + awaited, false);
        return new Message(request, flags, payload, transfer.takeFds());
    }

    /** Says that nothing more will be sent, as a front-end that ends; replies can still be received. */
    public void endOutput() {
        try {
            channel.shutdownOutput();
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits for the peer to close; bytes that arrive first fail the test. */
    public void expectClosed() {
        final byte[] stray = new byte[256];
        final int got = receive(stray, 0, stray.length, "the peer to close the connection");
        if (got > 0) {
            throw new AssertionError(got + " bytes arrived where the peer should have closed: "
                    + HexFormat.of().formatHex(stray, 0, got));
        }
    }

    /** Fails the test when the peer says anything, or closes, within {@code span}. */
    public void expectSilence(final Duration span) {
        if (Libc.poll(fd, Libc.POLLIN, span)) {
            final byte[] stray = new byte[256];
            final int got = receive(stray, 0, stray.length, "silence");
            throw new AssertionError(
                    got > 0
                            ? got + " unasked bytes: " + HexFormat.of().formatHex(stray, 0, got)
                            : "connection closed by the peer");
        }
    }

    @Override
    public void close() {
        for (final int each : transfer.takeFds()) {
            Libc.close(each);
        }
        try {
            channel.close();
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static void pause() {
        try {
            Thread.sleep(5);
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted", e);
        }
    }

    private boolean trySend(final byte[] bytes, final int offset, final int length, final int[] fds) {
        for (int done = 0; done < length; ) {
            if (!Libc.poll(fd, Libc.POLLOUT, timeout)) {
                throw new AssertionError("peer did not read for " + timeout);
            }
            final int run = Math.min(length - done, FdMessage.MAX_BYTES);
            final int sent = transfer.send(fd, bytes, offset + done, run, done == 0 ? fds : NO_FDS);
            if (sent < 0 && !again()) {
                return false;
            }
            done += Math.max(0, sent);
        }
        return true;
    }

    private boolean readFully(final byte[] target, final String awaited, final boolean mayEnd) {
        for (int done = 0; done < target.length; ) {
            final int got = receive(target, done, target.length - done, awaited);
            if (got <= 0) {
                if (mayEnd && done == 0) {
                    return false;
                }
                throw new AssertionError(
                        "connection closed after " + done + " of " + target.length + " bytes of " + awaited);
            }
            done += got;
        }
        return true;
    }

    private int receive(final byte[] target, final int offset, final int length, final String awaited) {
        for (; ; ) {
            if (!Libc.poll(fd, Libc.POLLIN, timeout)) {
                throw new AssertionError("timeout: waited " + timeout + " for " + awaited);
            }
            final int got = transfer.receive(fd, target, offset, length);
            if (got >= 0 || !again()) {
                return got;
            }
        }
    }

    private static boolean again() {
        return Libc.errno() == EAGAIN || Libc.errno() == EINTR;
    }
}

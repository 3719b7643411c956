package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.LIBC;
import static org.mypervisor.vhostuser.Libc.POSIX_CALLS;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import jnr.posix.CmsgHdr;
import jnr.posix.MsgHdr;

/**
 * Messages over one connected UNIX stream socket, vhost-user specification, section "Message specification".
 *
 * <p>Used by the port's session thread alone. A front-end that sends slowly or not at all keeps only that thread
 * waiting, and {@code wake} ends the wait.
 */
final class MessageSocket {
    private static final int MSG_CTRUNC = 0x8;
    private static final int MSG_DONTWAIT = 0x40;
    private static final int MSG_NOSIGNAL = 0x4000;
    private static final int MSG_CMSG_CLOEXEC = 0x4000_0000;
    private static final int SOL_SOCKET = 1;
    private static final int SCM_RIGHTS = 1;

    /** Version 1 and the reply flag; front-ends compare the whole word. */
    private static final int REPLY_FLAGS = Message.VERSION | Message.REPLY_FLAG;

    private final int socket;
    private final FdWaiter waiter;
    private final ByteBuffer receiveBuffer = directBuffer(Message.MAX_PAYLOAD);

    /**
     * @param socket a connected stream socket; stays the caller's
     * @param waiter waits for it, or for the wish to stop
     */
    MessageSocket(final int socket, final FdWaiter waiter) {
        this.socket = socket;
        this.waiter = waiter;
    }

    /**
     * Waits for one whole message.
     *
     * @return the message, which the caller closes, or null when the connection ended or the wait was cut short
     * @throws ProtocolException when what arrived cannot be a message; the connection is of no more use
     */
    Message receive() throws IOException, ProtocolException {
        final List<Integer> fds = new ArrayList<>();
        boolean whole = false;
        try {
            final ByteBuffer header = directBuffer(Message.HEADER_SIZE);
            while (header.hasRemaining()) {
                if (!receiveSome(header, fds)) {
                    return null;
                }
            }
            header.flip();
            final int number = header.getInt();
            final int flags = header.getInt();
            final long size = header.getInt() & 0xFFFF_FFFFL;
            checkHeader(number, flags, size);
            final ByteBuffer payload = receiveBuffer.clear().limit((int) size);
            while (payload.hasRemaining()) {
                if (!receiveSome(payload, null)) {
                    return null;
                }
            }
            whole = true;
            return new Message(number, flags, payload.flip(), fds);
        } finally {
            if (!whole) {
                fds.forEach(LIBC::close);
            }
        }
    }

    private static void checkHeader(final int number, final int flags, final long size) throws ProtocolException {
        if ((flags & Message.VERSION_MASK) != Message.VERSION || (flags & Message.REPLY_FLAG) != 0) {
            throw new ProtocolException(
                    "message %d: flags=0x%x, must be a request of version 1".formatted(number, flags));
        }
        if (size > Message.MAX_PAYLOAD) {
            throw new ProtocolException(
                    "message %d: size=%d, must be at most %d".formatted(number, size, Message.MAX_PAYLOAD));
        }
    }

    /**
     * Receives what there is, at least a byte.
     *
     * @param fds gets the descriptors that came along; null when none may come: then the kernel discards them
     * @return false at the end of the connection or when woken
     */
    private boolean receiveSome(final ByteBuffer into, final List<Integer> fds) throws IOException, ProtocolException {
        while (waiter.awaitReadable(socket)) {
            final MsgHdr header = POSIX_CALLS.allocateMsgHdr();
            final ByteBuffer rest = into.slice();
            header.setIov(new ByteBuffer[] {rest});
            if (fds != null) {
                header.allocateControl(Message.MAX_FDS * Integer.BYTES);
            }
            final int count = POSIX_CALLS.recvmsg(socket, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
            if (count < 0) {
                final int errno = POSIX_CALLS.errno();
                if (errno == Errno.EAGAIN.intValue() || errno == Errno.EINTR.intValue()) {
                    continue;
                }
                if (errno == Errno.ECONNRESET.intValue()) {
                    return false;
                }
                throw new IOException("recvmsg: " + POSIX_CALLS.strerror(errno));
            }
            if (fds != null && header.getControlLen() > 0) {
                // Taken out before anything can fail, so that none is lost.
                collectFds(header, fds);
            }
            if ((header.getFlags() & MSG_CTRUNC) != 0) {
                throw new ProtocolException("descriptors came where none are allowed, or more than " + Message.MAX_FDS);
            }
            into.position(into.position() + count);
            return count > 0;
        }
        return false;
    }

    private static void collectFds(final MsgHdr header, final List<Integer> fds) {
        for (final CmsgHdr control : header.getControls()) {
            if (control.getLevel() == SOL_SOCKET && control.getType() == SCM_RIGHTS) {
                final ByteBuffer data = control.getData().order(ByteOrder.nativeOrder());
                while (data.remaining() >= Integer.BYTES) {
                    fds.add(data.getInt());
                }
            }
        }
    }

    /** Answers with one u64: a value, or an acknowledgement where 0 means success. */
    void replyU64(final int number, final long value) throws IOException {
        final ByteBuffer reply = replyHeader(number, Long.BYTES);
        reply.putLong(value);
        send(reply.flip());
    }

    /** Answers with a vring state: an index and a number. */
    void replyState(final int number, final int index, final int value) throws IOException {
        final ByteBuffer reply = replyHeader(number, 2 * Integer.BYTES);
        reply.putInt(index).putInt(value);
        send(reply.flip());
    }

    private static ByteBuffer replyHeader(final int number, final int size) {
        final ByteBuffer reply = directBuffer(Message.HEADER_SIZE + size);
        return reply.putInt(number).putInt(REPLY_FLAGS).putInt(size);
    }

    private void send(final ByteBuffer reply) throws IOException {
        final MsgHdr header = POSIX_CALLS.allocateMsgHdr();
        header.setIov(new ByteBuffer[] {reply});
        final int sent = POSIX_CALLS.sendmsg(socket, header, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent != reply.limit()) {
            throw new IOException(
                    sent < 0
                            ? "reply: " + POSIX_CALLS.strerror(POSIX_CALLS.errno())
                            : "reply: the front-end does not read its replies");
        }
    }

    private static ByteBuffer directBuffer(final int size) {
        return ByteBuffer.allocateDirect(size).order(ByteOrder.LITTLE_ENDIAN);
    }
}

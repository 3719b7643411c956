package org.mypervisor.vhostuser;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * One message as received, vhost-user specification, section "Header".
 *
 * <p>It owns its file descriptors until somebody takes them; {@link #close} closes the rest, whatever happened.
 */
final class Message implements AutoCloseable {
    static final int HEADER_SIZE = 12;
    static final int VERSION = 1;
    static final int VERSION_MASK = 3;
    static final int REPLY_FLAG = 4;
    static final int NEED_REPLY_FLAG = 8;

    /** Larger payloads are refused; the largest that a net back-end gets is a memory table of 264 bytes. */
    static final int MAX_PAYLOAD = 4096;

    /** The specification allows 8 descriptors; a few more are received in order to be closed. */
    static final int MAX_FDS = 16;

    final int number;
    final int flags;
    /** Little-endian, position 0, limit at the payload's size. */
    final ByteBuffer payload;

    private final List<Integer> fds;

    Message(final int number, final int flags, final ByteBuffer payload, final List<Integer> fds) {
        this.number = number;
        this.flags = flags;
        this.payload = payload;
        this.fds = new ArrayList<>(fds);
    }

    boolean needsReply() {
        return (flags & NEED_REPLY_FLAG) != 0;
    }

    int fdCount() {
        return fds.size();
    }

    /** Looks at a descriptor, which the message keeps. */
    int peekFd(final int index) {
        return fds.get(index);
    }

    /** Hands over the next descriptor: from now on the caller closes it. */
    int takeFd() {
        return fds.remove(0);
    }

    @Override
    public void close() {
        fds.forEach(Libc.LIBC::close);
        fds.clear();
    }
}

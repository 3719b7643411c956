package org.mypervisor.driversim;

import java.util.Arrays;
import jnr.ffi.Pointer;

/**
 * Bytes with file descriptors over a UNIX socket: sendmsg and recvmsg with SCM_RIGHTS. The structs are laid out as
 * {@code man 2 recvmsg} and {@code man 3 cmsg} say for 64-bit Linux:
 *
 * <pre>
 * msghdr  0 name  8 namelen  16 iov  24 iovlen  32 control  40 controllen  48 flags
 * iovec   0 base  8 len
 * cmsghdr 0 len u64  8 level u32  12 type u32  16 data
 * </pre>
 */
final class FdMessage {
    static final int MAX_BYTES = 1 << 16;
    /** The kernel's own limit (SCM_MAX_FD). */
    static final int MAX_FDS = 253;

    private static final int SOL_SOCKET = 1;
    private static final int SCM_RIGHTS = 1;
    private static final int MSG_NOSIGNAL = 0x4000;
    private static final int MSG_CMSG_CLOEXEC = 0x40000000;
    private static final int CMSG_DATA = 16;

    private final Pointer message = Libc.allocate(56);
    private final Pointer iovec = Libc.allocate(16);
    private final Pointer data = Libc.allocate(MAX_BYTES);
    private final Pointer control = Libc.allocate(CMSG_DATA + 4 * MAX_FDS + 4);
    private int[] receivedFds = new int[0];

    /** Sends up to {@link #MAX_BYTES}; returns how many bytes went, or -1 with errno set. */
    int send(final int socket, final byte[] bytes, final int offset, final int length, final int[] fds) {
        data.put(0, bytes, offset, length);
        int controlLength = 0;
        if (fds.length > 0) {
            control.putLong(0, CMSG_DATA + 4L * fds.length);
            control.putInt(8, SOL_SOCKET);
            control.putInt(12, SCM_RIGHTS);
            control.put(CMSG_DATA, fds, 0, fds.length);
            controlLength = CMSG_DATA + (4 * fds.length + 7) / 8 * 8;
        }
        prepare(length, controlLength);
        return (int) Libc.CALLS.sendmsg(socket, message, MSG_NOSIGNAL);
    }

    /**
     * Receives up to {@code length} bytes into {@code bytes}; 0 at the end of the stream, -1 with errno set. Arrived
     * descriptors are then in {@link #takeFds()}.
     */
    int receive(final int socket, final byte[] bytes, final int offset, final int length) {
        prepare(length, CMSG_DATA + 4 * MAX_FDS);
        final int got = (int) Libc.CALLS.recvmsg(socket, message, MSG_CMSG_CLOEXEC);
        if (got > 0) {
            data.get(0, bytes, offset, got);
            collectFds();
        }
        return got;
    }

    /** Descriptors that came since the last call; the caller owns them. */
    int[] takeFds() {
        final int[] fds = receivedFds;
        receivedFds = new int[0];
        return fds;
    }

    private void prepare(final int length, final int controlLength) {
        iovec.putLong(0, data.address());
        iovec.putLong(8, length);
        message.putLong(0, 0);
        message.putLong(8, 0);
        message.putLong(16, iovec.address());
        message.putLong(24, 1);
        message.putLong(32, controlLength == 0 ? 0 : control.address());
        message.putLong(40, controlLength);
        message.putLong(48, 0);
    }

    private void collectFds() {
        if (message.getLong(40) < CMSG_DATA || control.getInt(8) != SOL_SOCKET || control.getInt(12) != SCM_RIGHTS) {
            return;
        }
        final int count = (int) (control.getLong(0) - CMSG_DATA) / 4;
        final int[] fds = Arrays.copyOf(receivedFds, receivedFds.length + count);
        control.get(CMSG_DATA, fds, receivedFds.length, count);
        receivedFds = fds;
    }
}

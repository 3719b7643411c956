package org.mypervisor.driversim;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * One vhost-user message as it stands on the socket: header fields, payload and descriptors.
 *
 * @param fds descriptors that came with it, owned by whoever holds the message
 */
public record Message(int request, int flags, byte[] payload, int[] fds) {
    public static final int HEADER_SIZE = 12;
    public static final int VERSION = 0x1;
    public static final int REPLY = 0x4;
    public static final int NEED_REPLY = 0x8;

    /** Header and payload as sent: le32 request, le32 flags, le32 size, payload. */
    public static byte[] encode(final int request, final int flags, final byte[] payload) {
        return encode(request, flags, payload.length, payload);
    }

    /** As above with a size of the caller's choice, right or wrong. */
    public static byte[] encode(final int request, final int flags, final int size, final byte[] payload) {
        return littleEndian(HEADER_SIZE + payload.length)
                .putInt(request)
                .putInt(flags)
                .putInt(size)
                .put(payload)
                .array();
    }

    public static byte[] u64(final long value) {
        return littleEndian(8).putLong(value).array();
    }

    /** The vring state payload: index and num. */
    public static byte[] state(final int index, final int num) {
        return littleEndian(8).putInt(index).putInt(num).array();
    }

    /** A zeroed little-endian buffer. */
    public static ByteBuffer littleEndian(final int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }

    public ByteBuffer payloadBuffer() {
        return ByteBuffer.wrap(payload).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Closes the descriptors; the message must not be used for them afterwards. */
    public void closeFds() {
        for (final int fd : fds) {
            Libc.close(fd);
        }
    }

    @Override
    public String toString() {
        return "request " + request + " flags 0x" + Integer.toHexString(flags) + " size " + payload.length + " fds "
                + fds.length;
    }
}

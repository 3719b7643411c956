package org.mypervisor.offload.gso;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Headers typed from virtio 1.2 §5.1.6 and loaded. */
final class Requests {
    static final int NEEDS_CSUM = 1;
    static final int DATA_VALID = 2;
    static final int RSC_INFO = 4;

    static final int TCPV4 = 1;
    static final int UDP = 3;
    static final int TCPV6 = 4;
    static final int UDP_L4 = 5;
    static final int ECN = 0x80;

    private static final PrivateMemory HEADER = new PrivateMemory(12);

    private Requests() {}

    static byte[] header(
            final int flags,
            final int gsoType,
            final int hdrLen,
            final int gsoSize,
            final int csumStart,
            final int csumOffset,
            final int numBuffers) {
        return ByteBuffer.allocate(12)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) flags)
                .put((byte) gsoType)
                .putShort((short) hdrLen)
                .putShort((short) gsoSize)
                .putShort((short) csumStart)
                .putShort((short) csumOffset)
                .putShort((short) numBuffers)
                .array();
    }

    static OffloadRequest load(final byte[] header) {
        HEADER.put(0, header);
        final OffloadRequest request = new OffloadRequest();
        request.load(HEADER.address());
        return request;
    }

    static OffloadRequest csum(final int csumStart, final int csumOffset) {
        return load(header(NEEDS_CSUM, 0, 0, 0, csumStart, csumOffset, 0));
    }

    static OffloadRequest gso(final int gsoType, final int gsoSize, final int csumStart, final int csumOffset) {
        return load(header(NEEDS_CSUM, gsoType, 0xFFFF, gsoSize, csumStart, csumOffset, 0xFFFF));
    }
}

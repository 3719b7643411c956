package org.mypervisor.offload;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.mypervisor.driversim.Virtio;
import org.mypervisor.offload.gso.Flow;

/** Headers in front of transmitted frames, typed from virtio 1.2 §5.1.6: 12 bytes. */
final class NetHdr {
    private NetHdr() {}

    static byte[] of(final int flags, final int gsoType, final int gsoSize, final int csumStart, final int csumOffset) {
        return ByteBuffer.allocate(12)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) flags)
                .put((byte) gsoType)
                .putShort((short) (gsoType == 0 ? 0 : 100))
                .putShort((short) gsoSize)
                .putShort((short) csumStart)
                .putShort((short) csumOffset)
                .putShort((short) 0)
                .array();
    }

    /** Leaves the checksum of a flow's frame to the device. */
    static byte[] csum(final Flow flow) {
        return of(Virtio.VIRTIO_NET_HDR_F_NEEDS_CSUM, 0, 0, flow.l4(), flow.csumOffset());
    }

    /** Leaves segmentation of a flow's frame to the device. */
    static byte[] gso(final Flow flow, final int gsoSize) {
        return gso(flow, flow.gsoType(), gsoSize);
    }

    static byte[] gso(final Flow flow, final int gsoType, final int gsoSize) {
        return of(Virtio.VIRTIO_NET_HDR_F_NEEDS_CSUM, gsoType, gsoSize, flow.l4(), flow.csumOffset());
    }
}

package org.mypervisor.driversim;

import java.util.HexFormat;

/**
 * A frame the device delivered.
 *
 * @param header the virtio-net header as written by the device, 10 or 12 bytes
 * @param frame Ethernet frame without FCS
 * @param buffers receive buffers it took
 */
public record ReceivedFrame(byte[] header, byte[] frame, int buffers) {
    private static final int GSO_SIZE = 4;
    private static final int CSUM_START = 6;
    private static final int CSUM_OFFSET = 8;
    private static final int NUM_BUFFERS = 10;
    private static final int UDP_CSUM_OFFSET = 6;

    /**
     * The buffers a packet takes, from its header, which is checked on the way as virtio 1.2 §5.1.6.4 demands of a
     * device: num_buffers 1 without MRG_RXBUF, everything else zero without GUEST_CSUM, and of the rest only what was
     * negotiated.
     */
    static int numBuffers(final byte[] header, final long features) {
        final int buffers = header.length > NUM_BUFFERS ? le16(header, NUM_BUFFERS) : 1;
        final boolean mergeable = Virtio.has(features, Virtio.VIRTIO_NET_F_MRG_RXBUF);
        if (buffers == 0 || buffers > 1 && !mergeable) {
            throw new AssertionError("num_buffers " + buffers + (mergeable ? "" : " without VIRTIO_NET_F_MRG_RXBUF"));
        }
        if (Virtio.has(features, Virtio.VIRTIO_NET_F_GUEST_CSUM)) {
            checkFlags(header);
            checkGsoType(header, features);
        } else {
            checkZero(header);
        }
        return buffers;
    }

    private static void checkZero(final byte[] header) {
        for (int i = 0; i < NUM_BUFFERS; i++) {
            check(header[i] == 0, "header not zero without GUEST_CSUM", header);
        }
    }

    /** NEEDS_CSUM and DATA_VALID; others need features that no driver here negotiates. */
    private static void checkFlags(final byte[] header) {
        final int known = Virtio.VIRTIO_NET_HDR_F_NEEDS_CSUM | Virtio.VIRTIO_NET_HDR_F_DATA_VALID;
        check((header[0] & ~known) == 0, "flags that were not negotiated", header);
    }

    private static void checkGsoType(final byte[] header, final long features) {
        final int type = header[1] & 0xFF;
        if (type == Virtio.VIRTIO_NET_HDR_GSO_NONE) {
            return;
        }
        final boolean negotiated =
                switch (type & ~Virtio.VIRTIO_NET_HDR_GSO_ECN) {
                    case Virtio.VIRTIO_NET_HDR_GSO_TCPV4 -> Virtio.has(features, Virtio.VIRTIO_NET_F_GUEST_TSO4);
                    case Virtio.VIRTIO_NET_HDR_GSO_TCPV6 -> Virtio.has(features, Virtio.VIRTIO_NET_F_GUEST_TSO6);
                    case Virtio.VIRTIO_NET_HDR_GSO_UDP_L4 ->
                        type == Virtio.VIRTIO_NET_HDR_GSO_UDP_L4
                                && (features
                                                & Virtio.mask(
                                                        Virtio.VIRTIO_NET_F_GUEST_USO4, Virtio.VIRTIO_NET_F_GUEST_USO6))
                                        != 0;
                    default -> false;
                };
        final boolean ecn = (type & Virtio.VIRTIO_NET_HDR_GSO_ECN) != 0;
        check(
                negotiated && (!ecn || Virtio.has(features, Virtio.VIRTIO_NET_F_GUEST_ECN)),
                "gso_type that was not negotiated",
                header);
        check((header[0] & Virtio.VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0, "gso_type without NEEDS_CSUM", header);
        check(le16(header, GSO_SIZE) != 0, "gso_type without gso_size", header);
    }

    private static void check(final boolean right, final String wrong, final byte[] header) {
        if (!right) {
            throw new AssertionError(wrong + ": " + HexFormat.of().formatHex(header));
        }
    }

    private static int le16(final byte[] bytes, final int offset) {
        return bytes[offset] & 0xFF | (bytes[offset + 1] & 0xFF) << 8;
    }

    public boolean needsCsum() {
        return (header[0] & Virtio.VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
    }

    public int gsoType() {
        return header[1] & 0xFF;
    }

    public int gsoSize() {
        return le16(header, GSO_SIZE);
    }

    public int csumStart() {
        return le16(header, CSUM_START);
    }

    public int csumOffset() {
        return le16(header, CSUM_OFFSET);
    }

    /** What a driver makes of a frame with NEEDS_CSUM, virtio 1.2 §5.1.6.4.1: from csum_start to the end of the frame. */
    public byte[] withChecksum() {
        final int at = csumStart() + csumOffset();
        check(at + 2 <= frame.length, "checksum behind the end of " + frame.length + " bytes", header);
        int sum = 0;
        for (int i = csumStart(); i < frame.length; i++) {
            sum += (frame[i] & 0xFF) << ((i - csumStart()) % 2 == 0 ? 8 : 0);
            sum = (sum & 0xFFFF) + (sum >>> 16);
        }
        final byte[] whole = frame.clone();
        // A checksum of zero means "none" in UDP, whose field lies at offset 6.
        final int checksum = (~sum & 0xFFFF) == 0 && csumOffset() == UDP_CSUM_OFFSET ? 0xFFFF : ~sum & 0xFFFF;
        whole[at] = (byte) (checksum >>> 8);
        whole[at + 1] = (byte) checksum;
        return whole;
    }
}

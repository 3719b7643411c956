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
    private static final int NUM_BUFFERS = 10;

    /**
     * The buffers a packet takes, from its header, which is checked on the way as virtio 1.2 §5.1.6.4 demands of a
     * device: num_buffers 1 without MRG_RXBUF, everything else zero without GUEST_CSUM.
     */
    static int numBuffers(final byte[] header, final long features) {
        final int buffers =
                header.length > NUM_BUFFERS ? header[NUM_BUFFERS] & 0xFF | (header[NUM_BUFFERS + 1] & 0xFF) << 8 : 1;
        final boolean mergeable = Virtio.has(features, Virtio.VIRTIO_NET_F_MRG_RXBUF);
        if (buffers == 0 || buffers > 1 && !mergeable) {
            throw new AssertionError("num_buffers " + buffers + (mergeable ? "" : " without VIRTIO_NET_F_MRG_RXBUF"));
        }
        for (int i = 0; i < NUM_BUFFERS && !Virtio.has(features, Virtio.VIRTIO_NET_F_GUEST_CSUM); i++) {
            if (header[i] != 0) {
                throw new AssertionError(
                        "header not zero without GUEST_CSUM: " + HexFormat.of().formatHex(header));
            }
        }
        return buffers;
    }
}

package org.mypervisor.virtqueue;

/**
 * Layout of the header in front of every frame, virtio 1.2 §5.1.6.
 *
 * <pre>
 * struct virtio_net_hdr { u8 flags; u8 gso_type; le16 hdr_len; le16 gso_size; le16 csum_start; le16 csum_offset;
 *                         le16 num_buffers; };
 * </pre>
 *
 * <p>{@code num_buffers} is absent in the 10-byte form, which only a legacy driver without mergeable buffers uses.
 */
public final class VirtioNetHdr {
    /** Bytes of the header with {@code num_buffers}. */
    public static final int SIZE = 12;
    /** Bytes of the legacy header without it. */
    public static final int LEGACY_SIZE = 10;

    private static final int CSUM_OFFSET_OFFSET = 8;

    private VirtioNetHdr() {}

    /** Bytes in front of each frame, in both directions, once these features are negotiated. */
    public static int size(final long features) {
        final long withNumBuffers = VirtioFeatures.bit(VirtioFeatures.VIRTIO_F_VERSION_1)
                | VirtioFeatures.bit(VirtioFeatures.VIRTIO_F_RING_PACKED)
                | VirtioFeatures.bit(VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF);
        return (features & withNumBuffers) != 0 ? SIZE : LEGACY_SIZE;
    }

    /**
     * Makes a header say: complete checksums, no segmentation, so many buffers. Most buffers come round again and say so
     * already; they are not written to, and their cache lines stay with both sides.
     *
     * @param size {@link #SIZE} or {@link #LEGACY_SIZE}
     */
    public static void putPlain(final long address, final int size, final int numBuffers) {
        if (size == SIZE) {
            final long end = (long) numBuffers << 16;
            if ((RawMemory.le64(address) | RawMemory.le32(address + CSUM_OFFSET_OFFSET) ^ end) != 0) {
                RawMemory.putLe64(address, 0);
                RawMemory.putLe32(address + CSUM_OFFSET_OFFSET, end);
            }
        } else {
            RawMemory.putLe64(address, 0);
            RawMemory.putLe16(address + CSUM_OFFSET_OFFSET, 0);
        }
    }
}

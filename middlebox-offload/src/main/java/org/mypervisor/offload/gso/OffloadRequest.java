package org.mypervisor.offload.gso;

import static org.mypervisor.virtqueue.RawMemory.le32;
import static org.mypervisor.virtqueue.RawMemory.le64;
import static org.mypervisor.virtqueue.RawMemory.putLe16;
import static org.mypervisor.virtqueue.RawMemory.putLe32;
import static org.mypervisor.virtqueue.RawMemory.putLe64;

import org.mypervisor.virtqueue.VirtioFeatures;
import org.mypervisor.virtqueue.VirtioNetHdr;

/**
 * What the header in front of a frame from a transmitq asks of the device: a checksum, segmentation, both or neither
 * (virtio 1.2 §5.1.6.2; layout: {@link VirtioNetHdr}).
 *
 * <p>Flags other than {@code VIRTIO_NET_HDR_F_NEEDS_CSUM} are no driver's to set; they are not looked at and not passed
 * on. One instance per wire, reused for every frame, owned by that wire's worker thread.
 */
public final class OffloadRequest {
    public static final int VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;

    public static final int VIRTIO_NET_HDR_GSO_NONE = 0;
    public static final int VIRTIO_NET_HDR_GSO_TCPV4 = 1;
    public static final int VIRTIO_NET_HDR_GSO_TCPV6 = 4;
    public static final int VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
    /** Joins one of the TCP types. */
    public static final int VIRTIO_NET_HDR_GSO_ECN = 0x80;

    /** The features of a driver whose headers have to be read at all. */
    public static final long HOST_OFFLOADS = VirtioFeatures.mask(
            VirtioFeatures.VIRTIO_NET_F_CSUM,
            VirtioFeatures.VIRTIO_NET_F_HOST_TSO4,
            VirtioFeatures.VIRTIO_NET_F_HOST_TSO6,
            VirtioFeatures.VIRTIO_NET_F_HOST_USO);

    private static final int CSUM_OFFSET_OFFSET = 8;
    private static final int CSUM_LENGTH = 2;

    private static final long NEEDS_CSUM_AND_CSUM_START = 0xFFFF_0000_0000_0001L;
    private static final long GSO_TYPE_HDR_LEN_AND_GSO_SIZE = 0x0000_FFFF_FFFF_FF00L;

    /** flags, gso_type, hdr_len, gso_size and csum_start, from the lowest byte up. */
    private long firstFields;

    private int csumOffset;

    /**
     * Reads a header; this object answers for it until the next load.
     *
     * @param header host address of {@link VirtioNetHdr#SIZE} readable bytes of private memory, also when the header is
     *     of the shorter, legacy form
     */
    public void load(final long header) {
        firstFields = le64(header);
        csumOffset = (int) le32(header + CSUM_OFFSET_OFFSET) & 0xFFFF;
    }

    /** Whether nothing is asked for: the frame is as it goes on the wire. */
    public boolean isPlain() {
        return !needsCsum() && !isGso();
    }

    /** Whether the checksum field holds the sum of the pseudo header only. */
    public boolean needsCsum() {
        return ((int) firstFields & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
    }

    /** Whether the frame is to be segmented before it goes on a wire. */
    public boolean isGso() {
        return gsoType() != VIRTIO_NET_HDR_GSO_NONE;
    }

    /** One of the {@code VIRTIO_NET_HDR_GSO_} values if the request {@link #isValid}; else 0..255. */
    public int gsoType() {
        return (int) firstFields >>> 8 & 0xFF;
    }

    /** Bytes of all headers, 0..65535: the sender's hint, which nothing here relies on. */
    public int hdrLen() {
        return (int) firstFields >>> 16;
    }

    /** Most payload bytes of a segment, 0..65535. */
    public int gsoSize() {
        return (int) (firstFields >>> 32) & 0xFFFF;
    }

    /** Offset in the frame from which its checksum counts, 0..65535. */
    public int csumStart() {
        return (int) (firstFields >>> 48);
    }

    /** Offset of the checksum field from {@link #csumStart}, 0..65535. */
    public int csumOffset() {
        return csumOffset;
    }

    /**
     * Whether the fields agree with each other and with the length of the frame, so that the request can be passed on or
     * carried out: the checksum field lies inside the frame, and segmentation is of a known type, has a size and comes
     * with {@code VIRTIO_NET_HDR_F_NEEDS_CSUM} as the driver is bound to set it (virtio 1.2 §5.1.6.2.1). IP fragmentation
     * ({@code VIRTIO_NET_HDR_GSO_UDP}) is not among the known types: no driver is offered it. What the frame itself
     * contains is not looked at.
     *
     * @param frameLength in bytes, without the header
     */
    public boolean isValid(final int frameLength) {
        if (!needsCsum()) {
            return !isGso();
        }
        return csumStart() + csumOffset + CSUM_LENGTH <= frameLength
                && (!isGso() || gsoSize() != 0 && isGsoTypeKnown());
    }

    private boolean isGsoTypeKnown() {
        return switch (gsoType()) {
            case VIRTIO_NET_HDR_GSO_TCPV4,
                    VIRTIO_NET_HDR_GSO_TCPV6,
                    VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN,
                    VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
                    VIRTIO_NET_HDR_GSO_UDP_L4 -> true;
            default -> false;
        };
    }

    /**
     * Writes the header that passes the request on to a receiving driver: fields that do not take part are 0. In place
     * of {@link VirtioNetHdr#putPlain} for a frame with {@link GuestOffloads.Treatment#PASS}.
     *
     * @param size {@link VirtioNetHdr#SIZE} or {@link VirtioNetHdr#LEGACY_SIZE}
     */
    public void put(final long address, final int size, final int numBuffers) {
        final long taken =
                (needsCsum() ? NEEDS_CSUM_AND_CSUM_START : 0) | (isGso() ? GSO_TYPE_HDR_LEN_AND_GSO_SIZE : 0);
        final int offset = needsCsum() ? csumOffset : 0;
        putLe64(address, firstFields & taken);
        if (size == VirtioNetHdr.SIZE) {
            putLe32(address + CSUM_OFFSET_OFFSET, (long) numBuffers << 16 | offset);
        } else {
            putLe16(address + CSUM_OFFSET_OFFSET, offset);
        }
    }
}

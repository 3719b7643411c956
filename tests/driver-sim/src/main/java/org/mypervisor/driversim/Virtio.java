package org.mypervisor.driversim;

/**
 * Constants of virtio 1.2 and vhost-user, typed from the specifications and not shared with the code under test.
 * Names ending in {@code _F_} something are bit numbers; {@link #mask} makes a mask of them.
 */
public final class Virtio {
    public static final int VIRTIO_NET_F_CSUM = 0;
    public static final int VIRTIO_NET_F_GUEST_CSUM = 1;
    public static final int VIRTIO_NET_F_MTU = 3;
    public static final int VIRTIO_NET_F_GUEST_TSO4 = 7;
    public static final int VIRTIO_NET_F_GUEST_TSO6 = 8;
    public static final int VIRTIO_NET_F_GUEST_ECN = 9;
    public static final int VIRTIO_NET_F_HOST_TSO4 = 11;
    public static final int VIRTIO_NET_F_HOST_TSO6 = 12;
    public static final int VIRTIO_NET_F_HOST_ECN = 13;
    public static final int VIRTIO_NET_F_MRG_RXBUF = 15;
    public static final int VIRTIO_NET_F_GUEST_ANNOUNCE = 21;
    public static final int VIRTIO_NET_F_MQ = 22;
    public static final int VHOST_F_LOG_ALL = 26;
    public static final int VIRTIO_F_ANY_LAYOUT = 27;
    public static final int VIRTIO_F_INDIRECT_DESC = 28;
    public static final int VIRTIO_F_EVENT_IDX = 29;
    public static final int VHOST_USER_F_PROTOCOL_FEATURES = 30;
    public static final int VIRTIO_F_VERSION_1 = 32;
    public static final int VIRTIO_F_RING_PACKED = 34;
    public static final int VIRTIO_F_IN_ORDER = 35;
    public static final int VIRTIO_NET_F_GUEST_USO4 = 54;
    public static final int VIRTIO_NET_F_GUEST_USO6 = 55;
    public static final int VIRTIO_NET_F_HOST_USO = 56;

    public static final int PROTOCOL_F_MQ = 0;
    public static final int PROTOCOL_F_LOG_SHMFD = 1;
    public static final int PROTOCOL_F_RARP = 2;
    public static final int PROTOCOL_F_REPLY_ACK = 3;
    public static final int PROTOCOL_F_NET_MTU = 4;
    public static final int PROTOCOL_F_BACKEND_REQ = 5;
    public static final int PROTOCOL_F_CONFIG = 9;
    public static final int PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15;
    public static final int PROTOCOL_F_STATUS = 16;

    /** Flags of a descriptor, virtio 1.2 §2.7.5. */
    public static final int VIRTQ_DESC_F_NEXT = 1;

    public static final int VIRTQ_DESC_F_WRITE = 2;
    public static final int VIRTQ_DESC_F_INDIRECT = 4;

    /** Further flags of a descriptor in a packed ring, virtio 1.2 §2.8.1. */
    public static final int VIRTQ_DESC_F_AVAIL = 1 << 7;

    public static final int VIRTQ_DESC_F_USED = 1 << 15;

    /** Flags of event suppression in a packed ring, virtio 1.2 §2.8.10. */
    public static final int RING_EVENT_FLAGS_ENABLE = 0;

    public static final int RING_EVENT_FLAGS_DISABLE = 1;
    public static final int RING_EVENT_FLAGS_DESC = 2;

    /** Flag of a virtio-net header, virtio 1.2 §5.1.6: the checksum field holds the pseudo-header sum only. */
    public static final int VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;

    public static final int VIRTIO_NET_HDR_F_DATA_VALID = 2;

    /** Values of gso_type, virtio 1.2 §5.1.6 and, for UDP_L4, 1.3. ECN joins one of the others. */
    public static final int VIRTIO_NET_HDR_GSO_NONE = 0;

    public static final int VIRTIO_NET_HDR_GSO_TCPV4 = 1;
    public static final int VIRTIO_NET_HDR_GSO_TCPV6 = 4;
    public static final int VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
    public static final int VIRTIO_NET_HDR_GSO_ECN = 0x80;

    /** What a driver leaves to the device when it may. */
    public static final long HOST_OFFLOADS = mask(
            VIRTIO_NET_F_CSUM,
            VIRTIO_NET_F_HOST_TSO4,
            VIRTIO_NET_F_HOST_TSO6,
            VIRTIO_NET_F_HOST_ECN,
            VIRTIO_NET_F_HOST_USO);

    /** What a driver lets the device leave to it. */
    public static final long GUEST_OFFLOADS = mask(
            VIRTIO_NET_F_GUEST_CSUM,
            VIRTIO_NET_F_GUEST_TSO4,
            VIRTIO_NET_F_GUEST_TSO6,
            VIRTIO_NET_F_GUEST_ECN,
            VIRTIO_NET_F_GUEST_USO4,
            VIRTIO_NET_F_GUEST_USO6);

    /** What QEMU 7.2 with a Linux guest accepts of an offer, apart from checksum and segmentation offloads. */
    public static final long LIKE_QEMU = mask(
            VIRTIO_NET_F_MTU,
            VIRTIO_NET_F_MRG_RXBUF,
            VIRTIO_NET_F_GUEST_ANNOUNCE,
            VIRTIO_NET_F_MQ,
            VIRTIO_F_INDIRECT_DESC,
            VIRTIO_F_EVENT_IDX,
            VHOST_USER_F_PROTOCOL_FEATURES,
            VIRTIO_F_VERSION_1);

    /** As {@link #LIKE_QEMU}, with {@code packed=on}. */
    public static final long LIKE_QEMU_PACKED = LIKE_QEMU | mask(VIRTIO_F_RING_PACKED);

    /** What DPDK 22.11 virtio-user with a split ring accepts of an offer. */
    public static final long LIKE_VIRTIO_USER = mask(
            VIRTIO_NET_F_MRG_RXBUF,
            VIRTIO_NET_F_MQ,
            VIRTIO_F_INDIRECT_DESC,
            VHOST_USER_F_PROTOCOL_FEATURES,
            VIRTIO_F_VERSION_1,
            VIRTIO_F_IN_ORDER);

    /** As {@link #LIKE_VIRTIO_USER}, with {@code packed_vq=1}. */
    public static final long LIKE_VIRTIO_USER_PACKED = LIKE_VIRTIO_USER | mask(VIRTIO_F_RING_PACKED);

    private Virtio() {}

    /** The mask with exactly these bits set. */
    public static long mask(final int... bits) {
        long mask = 0;
        for (final int bit : bits) {
            mask |= 1L << bit;
        }
        return mask;
    }

    public static boolean has(final long features, final int bit) {
        return (features >>> bit & 1) != 0;
    }

    /** Bytes of the virtio-net header in front of every packet, virtio 1.2 §5.1.6: 12, or 10 in the legacy form. */
    public static int netHeaderSize(final long features) {
        return has(features, VIRTIO_NET_F_MRG_RXBUF)
                        || has(features, VIRTIO_F_VERSION_1)
                        || has(features, VIRTIO_F_RING_PACKED)
                ? 12
                : 10;
    }
}

package org.mypervisor.offload.gso;

import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_ECN;
import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_TCPV4;
import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_TCPV6;
import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_UDP_L4;
import static org.mypervisor.virtqueue.VirtioFeatures.VIRTIO_NET_F_GUEST_CSUM;
import static org.mypervisor.virtqueue.VirtioFeatures.VIRTIO_NET_F_GUEST_ECN;
import static org.mypervisor.virtqueue.VirtioFeatures.VIRTIO_NET_F_GUEST_TSO4;
import static org.mypervisor.virtqueue.VirtioFeatures.VIRTIO_NET_F_GUEST_TSO6;
import static org.mypervisor.virtqueue.VirtioFeatures.VIRTIO_NET_F_GUEST_USO4;
import static org.mypervisor.virtqueue.VirtioFeatures.VIRTIO_NET_F_GUEST_USO6;
import static org.mypervisor.virtqueue.VirtioFeatures.has;

import org.mypervisor.virtqueue.VirtioFeatures;

/**
 * Which unfinished frames a receiving driver takes, and so what is left for software to do (virtio 1.2 §5.1.6.4).
 *
 * <p>Immutable: made when the receiver's features are negotiated, asked for every frame that goes to it. Any thread.
 */
public final class GuestOffloads {
    /** The features of a receiver that takes every frame as it is. */
    public static final long ALL = VirtioFeatures.mask(
            VIRTIO_NET_F_GUEST_CSUM,
            VIRTIO_NET_F_GUEST_TSO4,
            VIRTIO_NET_F_GUEST_TSO6,
            VIRTIO_NET_F_GUEST_ECN,
            VIRTIO_NET_F_GUEST_USO4,
            VIRTIO_NET_F_GUEST_USO6);

    /** What has to happen to a frame before this receiver may have it. */
    public enum Treatment {
        /** Nothing: it goes with a header from {@link OffloadRequest#put}. */
        PASS,
        /** {@link InternetChecksum#complete}; then it goes with a plain header. */
        COMPLETE_CSUM,
        /** {@link Segmenter}; then the segments go with plain headers. */
        SEGMENT
    }

    private final boolean csum;
    private final boolean tso4;
    private final boolean tso6;
    private final boolean ecn;
    private final boolean uso4;
    private final boolean uso6;

    /**
     * @param features that the receiver negotiated; without {@code VIRTIO_NET_F_GUEST_CSUM} none of the others counts,
     *     because a GSO frame is also one without checksum (virtio 1.2 §5.1.3.1)
     */
    public GuestOffloads(final long features) {
        csum = has(features, VIRTIO_NET_F_GUEST_CSUM);
        tso4 = csum && has(features, VIRTIO_NET_F_GUEST_TSO4);
        tso6 = csum && has(features, VIRTIO_NET_F_GUEST_TSO6);
        ecn = has(features, VIRTIO_NET_F_GUEST_ECN);
        uso4 = csum && has(features, VIRTIO_NET_F_GUEST_USO4);
        uso6 = csum && has(features, VIRTIO_NET_F_GUEST_USO6);
    }

    /**
     * Judges one frame.
     *
     * @param request of the frame, valid
     * @param frame host address of the frame's first bytes, private memory; read only for {@code
     *     VIRTIO_NET_HDR_GSO_UDP_L4}, which does not tell the IP version, and only if the receiver takes one of the two
     * @param length bytes that may be read there: all of the frame or its head
     */
    public Treatment treatment(final OffloadRequest request, final long frame, final int length) {
        if (request.isGso()) {
            return takes(request.gsoType(), frame, length) ? Treatment.PASS : Treatment.SEGMENT;
        }
        return csum || !request.needsCsum() ? Treatment.PASS : Treatment.COMPLETE_CSUM;
    }

    private boolean takes(final int gsoType, final long frame, final int length) {
        return switch (gsoType) {
            case VIRTIO_NET_HDR_GSO_TCPV4 -> tso4;
            case VIRTIO_NET_HDR_GSO_TCPV6 -> tso6;
            case VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN -> tso4 && ecn;
            case VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN -> tso6 && ecn;
            case VIRTIO_NET_HDR_GSO_UDP_L4 -> uso4 == uso6 ? uso4 : takesUso(IpHeaders.etherType(frame, length));
            default -> false;
        };
    }

    private boolean takesUso(final int etherType) {
        return etherType == (uso4 ? IpHeaders.ETHER_TYPE_IPV4 : IpHeaders.ETHER_TYPE_IPV6);
    }
}

package org.mypervisor.vhostuser;

import static org.mypervisor.virtqueue.VirtioFeatures.bit;

import org.mypervisor.virtqueue.VirtioFeatures;

/**
 * The one place that knows what is offered and judges what is accepted.
 *
 * <p>The offer depends on the port's options and the release alone: a front-end whose driver once accepted a feature
 * refuses a back-end that lost it, so a restart or another policy must not change the offer, and a later release may only
 * add to it.
 */
public final class FeatureNegotiation {
    /** What a driver may leave to us, and what it may be left to do; the data plane does in software what is missing. */
    private static final long OFFLOADS = VirtioFeatures.mask(
            VirtioFeatures.VIRTIO_NET_F_CSUM,
            VirtioFeatures.VIRTIO_NET_F_HOST_TSO4,
            VirtioFeatures.VIRTIO_NET_F_HOST_TSO6,
            VirtioFeatures.VIRTIO_NET_F_HOST_ECN,
            VirtioFeatures.VIRTIO_NET_F_HOST_USO,
            VirtioFeatures.VIRTIO_NET_F_GUEST_CSUM,
            VirtioFeatures.VIRTIO_NET_F_GUEST_TSO4,
            VirtioFeatures.VIRTIO_NET_F_GUEST_TSO6,
            VirtioFeatures.VIRTIO_NET_F_GUEST_ECN,
            VirtioFeatures.VIRTIO_NET_F_GUEST_USO4,
            VirtioFeatures.VIRTIO_NET_F_GUEST_USO6);

    /** Features of use to frames that a user can switch off, or forget to switch on, by an option of the same name. */
    private static final long QEMU_OPTIONS = bit(VirtioFeatures.VIRTIO_NET_F_MQ)
            | bit(VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF)
            | bit(VirtioFeatures.VIRTIO_F_EVENT_IDX)
            | bit(VirtioFeatures.VIRTIO_F_INDIRECT_DESC);

    private final long offered;
    private final long offeredProtocol;
    private volatile long accepted;

    /** State of one connection, owned by its session. */
    public FeatureNegotiation(final DeviceOptions options) {
        offered = bit(VirtioFeatures.VIRTIO_F_VERSION_1)
                | bit(VirtioFeatures.VHOST_USER_F_PROTOCOL_FEATURES)
                | bit(VirtioFeatures.VIRTIO_F_ANY_LAYOUT)
                | bit(VirtioFeatures.VIRTIO_NET_F_MTU)
                | bit(VirtioFeatures.VIRTIO_NET_F_GUEST_ANNOUNCE)
                | (options.offloads() ? OFFLOADS : 0)
                | when(options.queuePairs() > 1, VirtioFeatures.VIRTIO_NET_F_MQ)
                | when(options.mergeableBuffers(), VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF)
                | when(options.eventIdx(), VirtioFeatures.VIRTIO_F_EVENT_IDX)
                | when(options.indirect(), VirtioFeatures.VIRTIO_F_INDIRECT_DESC)
                | when(options.inOrder(), VirtioFeatures.VIRTIO_F_IN_ORDER)
                | when(options.packed(), VirtioFeatures.VIRTIO_F_RING_PACKED);
        offeredProtocol = bit(ProtocolFeatures.VHOST_USER_PROTOCOL_F_MQ)
                | bit(ProtocolFeatures.VHOST_USER_PROTOCOL_F_RARP)
                | bit(ProtocolFeatures.VHOST_USER_PROTOCOL_F_REPLY_ACK)
                | bit(ProtocolFeatures.VHOST_USER_PROTOCOL_F_NET_MTU);
    }

    private static long when(final boolean on, final int number) {
        return on ? bit(number) : 0;
    }

    /** For GET_FEATURES. */
    public long offered() {
        return offered;
    }

    /** For GET_PROTOCOL_FEATURES. */
    public long offeredProtocol() {
        return offeredProtocol;
    }

    /** The virtio features in force; 0 before SET_FEATURES. Any thread. */
    public long accepted() {
        return accepted;
    }

    /**
     * SET_FEATURES: a subset of the offer, unchanged while any ring runs (it is sent again for each queue pair).
     */
    void accept(final long features, final boolean running) throws ProtocolException {
        checkSubset(FrontendRequest.SET_FEATURES, features, offered);
        if (running && features != accepted) {
            throw new ProtocolException(
                    FrontendRequest.SET_FEATURES,
                    "features=0x%x, rings run with 0x%x; stop them first".formatted(features, accepted));
        }
        accepted = features;
    }

    /** SET_PROTOCOL_FEATURES: a subset of the offer. */
    void acceptProtocol(final long features) throws ProtocolException {
        checkSubset(FrontendRequest.SET_PROTOCOL_FEATURES, features, offeredProtocol);
    }

    /** For people who wonder where a feature has gone; empty when all is in use that is worth a line. */
    String hint() {
        final long unused = offered & ~accepted & QEMU_OPTIONS;
        if (unused == 0) {
            return "";
        }
        final String names = VirtioFeatures.names(unused);
        return "offered, but not in use: %s; QEMU passes them on with -device virtio-net-pci,%s=on, if the driver wants them"
                .formatted(names, names.replace(" ", "=on,"));
    }

    /** Whether rings wait for SET_VRING_ENABLE; without the bit they are enabled from the start. */
    boolean hasProtocolFeatures() {
        return VirtioFeatures.has(accepted, VirtioFeatures.VHOST_USER_F_PROTOCOL_FEATURES);
    }

    private static void checkSubset(final FrontendRequest request, final long features, final long offer)
            throws ProtocolException {
        if ((features & ~offer) != 0) {
            throw new ProtocolException(
                    request, "features=0x%x, 0x%x of them were not offered".formatted(features, features & ~offer));
        }
    }
}

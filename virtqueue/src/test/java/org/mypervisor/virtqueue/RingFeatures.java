package org.mypervisor.virtqueue;

import static org.mypervisor.driversim.Virtio.VIRTIO_F_EVENT_IDX;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_INDIRECT_DESC;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_IN_ORDER;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_RING_PACKED;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_VERSION_1;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_MRG_RXBUF;

import org.mypervisor.driversim.Virtio;

/** The negotiated features that change how a ring works; scenarios run once for each. */
enum RingFeatures {
    PLAIN,
    EVENT_IDX(VIRTIO_F_EVENT_IDX),
    INDIRECT(VIRTIO_F_INDIRECT_DESC),
    EVENT_IDX_INDIRECT(VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC),
    IN_ORDER(VIRTIO_F_IN_ORDER),
    EVENT_IDX_IN_ORDER(VIRTIO_F_EVENT_IDX, VIRTIO_F_IN_ORDER),
    INDIRECT_IN_ORDER(VIRTIO_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER),
    EVENT_IDX_INDIRECT_IN_ORDER(VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER),
    PACKED(VIRTIO_F_RING_PACKED),
    PACKED_MERGEABLE(VIRTIO_F_RING_PACKED, VIRTIO_NET_F_MRG_RXBUF),
    PACKED_EVENT_IDX(VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX),
    PACKED_INDIRECT(VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC),
    PACKED_EVENT_IDX_INDIRECT(VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC),
    PACKED_IN_ORDER(VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER),
    PACKED_EVENT_IDX_IN_ORDER(VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX, VIRTIO_F_IN_ORDER),
    PACKED_INDIRECT_IN_ORDER(VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER),
    PACKED_EVENT_IDX_INDIRECT_IN_ORDER(
            VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_IN_ORDER);

    /** Patterns of names for {@code EnumSource} with {@code MATCH_ALL}. */
    static final String OF_SPLIT = "(?!PACKED).*";

    static final String OF_PACKED = "PACKED.*";
    static final String WITH_EVENT_IDX = ".*EVENT_IDX.*";
    static final String WITHOUT_EVENT_IDX = "(?!.*EVENT_IDX).*";
    static final String WITH_INDIRECT = ".*INDIRECT.*";
    static final String WITHOUT_INDIRECT = "(?!.*INDIRECT).*";

    final long mask;

    RingFeatures(final int... bits) {
        mask = Virtio.mask(bits) | Virtio.mask(VIRTIO_F_VERSION_1);
    }

    boolean packed() {
        return Virtio.has(mask, VIRTIO_F_RING_PACKED);
    }

    boolean eventIdx() {
        return Virtio.has(mask, VIRTIO_F_EVENT_IDX);
    }

    boolean indirect() {
        return Virtio.has(mask, VIRTIO_F_INDIRECT_DESC);
    }
}

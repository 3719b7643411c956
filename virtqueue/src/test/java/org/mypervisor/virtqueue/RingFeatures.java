package org.mypervisor.virtqueue;

import static org.mypervisor.driversim.Virtio.VIRTIO_F_EVENT_IDX;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_INDIRECT_DESC;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_VERSION_1;

import org.mypervisor.driversim.Virtio;

/** The negotiated features that change how a ring works; scenarios run once for each. */
enum RingFeatures {
    PLAIN(Virtio.mask(VIRTIO_F_VERSION_1)),
    EVENT_IDX(Virtio.mask(VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX)),
    INDIRECT(Virtio.mask(VIRTIO_F_VERSION_1, VIRTIO_F_INDIRECT_DESC)),
    EVENT_IDX_INDIRECT(Virtio.mask(VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC));

    final long mask;

    RingFeatures(final long mask) {
        this.mask = mask;
    }

    boolean eventIdx() {
        return Virtio.has(mask, VIRTIO_F_EVENT_IDX);
    }

    boolean indirect() {
        return Virtio.has(mask, VIRTIO_F_INDIRECT_DESC);
    }
}

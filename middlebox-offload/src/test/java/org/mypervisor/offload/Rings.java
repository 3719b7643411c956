package org.mypervisor.offload;

import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU_PACKED;

import org.mypervisor.driversim.NetOptions;

/** A guest of QEMU with either kind of ring, for tests that run over both. */
enum Rings {
    SPLIT(LIKE_QEMU, 256),
    /** Of a size that only packed rings can have. */
    PACKED(LIKE_QEMU_PACKED, 251);

    private final long features;
    private final int size;

    Rings(final long features, final int size) {
        this.features = features;
        this.size = size;
    }

    /** What its driver accepts, apart from offloads. */
    long features() {
        return features;
    }

    NetOptions options() {
        return NetOptions.defaults().withQueueSize(size);
    }
}

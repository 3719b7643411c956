package org.mypervisor.driversim;

/**
 * Where the three parts of a virtqueue lie in guest memory, under the names that SET_VRING_ADDR has for them. All
 * addresses are gpa.
 */
public sealed interface RingLayout permits SplitLayout, PackedLayout {
    /** Entries. */
    int size();

    /** Descriptor area: descriptor table, or descriptor ring. */
    long descGpa();

    /** Driver area: avail ring, or driver event suppression. */
    long availGpa();

    /** Device area: used ring, or device event suppression. */
    long usedGpa();

    /** Takes fresh memory for a ring of the kind these features call for. */
    static RingLayout allocate(final GuestMemoryFile memory, final int size, final long features) {
        return Virtio.has(features, Virtio.VIRTIO_F_RING_PACKED)
                ? PackedLayout.allocate(memory, size)
                : SplitLayout.allocate(memory, size);
    }
}

package org.mypervisor.driversim;

/** A place in a packed ring and the wrap counter there, which begins at 1 and flips at the end: virtio 1.2 §2.8.1. */
final class PackedPosition {
    private final int size;
    private int slot;
    private boolean wrap = true;

    PackedPosition(final int size) {
        this.size = size;
    }

    int slot() {
        return slot;
    }

    boolean wrap() {
        return wrap;
    }

    PackedPosition copy() {
        final PackedPosition copy = new PackedPosition(size);
        copy.slot = slot;
        copy.wrap = wrap;
        return copy;
    }

    /** Goes on by at most the size of the ring. */
    void advance(final int descriptors) {
        slot += descriptors;
        if (slot >= size) {
            slot -= size;
            wrap = !wrap;
        }
    }

    void rewind() {
        slot = 0;
        wrap = true;
    }
}

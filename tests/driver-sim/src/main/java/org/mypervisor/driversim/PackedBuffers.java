package org.mypervisor.driversim;

/**
 * A driver's own book of its buffer ids in a packed ring: which are free, and how many descriptors each of the others
 * has. Nothing here is read back from shared memory. Used by {@link PackedDriver} alone.
 *
 * <p>Free ids are a stack, as in Linux, so an id says nothing of a place in the ring. With VIRTIO_F_IN_ORDER the id is
 * the slot of the chain's first descriptor, and the order in which chains went out is kept to tell who is in a batch.
 */
final class PackedBuffers {
    private static final int NOT_OUT = 0;

    private final boolean inOrder;
    private final int size;
    private final int[] freeIds;
    private final int[] count;
    private final long[] writableBytes;
    private final int[] order;
    private int first;
    private int outstanding;
    private int freeDescriptors;

    PackedBuffers(final int size, final boolean inOrder) {
        this.inOrder = inOrder;
        this.size = size;
        freeIds = new int[size];
        count = new int[size];
        writableBytes = new long[size];
        order = new int[size];
        clear();
    }

    void clear() {
        for (int i = 0; i < size; i++) {
            freeIds[i] = size - 1 - i;
            count[i] = NOT_OUT;
        }
        first = 0;
        outstanding = 0;
        freeDescriptors = size;
    }

    int outstanding() {
        return outstanding;
    }

    int freeDescriptors() {
        return freeDescriptors;
    }

    /** The id of the next chain, which will begin in this slot. */
    int nextId(final int slot) {
        return inOrder ? slot : freeIds[size - outstanding - 1];
    }

    /** Takes {@link #nextId} for a chain. */
    void take(final int id, final int descriptors, final long writable) {
        count[id] = descriptors;
        writableBytes[id] = writable;
        order[(first + outstanding) % size] = id;
        outstanding++;
        freeDescriptors -= descriptors;
    }

    boolean isOut(final int id) {
        return id < size && count[id] != NOT_OUT;
    }

    /** Descriptors of a chain in the ring. */
    int descriptors(final int id) {
        return count[id];
    }

    long writableBytes(final int id) {
        return writableBytes[id];
    }

    /**
     * The chain that a used descriptor's id gives back next, after {@code earlier} others: in order it may stand for a
     * batch by the id of its last chain (virtio 1.2 §2.8.8), and then they come one by one until that.
     */
    int given(final int usedId, final int earlier) {
        return inOrder ? order[(first + earlier) % size] : usedId;
    }

    void complete(final int id) {
        first = (first + 1) % size;
        outstanding--;
        freeIds[size - outstanding - 1] = id;
        freeDescriptors += count[id];
        count[id] = NOT_OUT;
    }
}

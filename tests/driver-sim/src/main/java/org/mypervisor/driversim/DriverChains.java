package org.mypervisor.driversim;

/**
 * A driver's own book of its descriptors: which are free, which chain holds which, and in what order chains were made
 * available. Nothing here is read back from shared memory. Used by {@link SplitDriver} alone.
 */
final class DriverChains {
    private static final int NOT_OUT = 0;

    private final boolean inOrder;
    private final int mask;
    private final int[] freeRing;
    private final int[] next;
    private final int[] count;
    private final long[] writableBytes;
    private final int[] headRing;
    private int freeFirst;
    private int free;
    private int headFirst;
    private int outstanding;

    DriverChains(final int size, final boolean inOrder) {
        this.inOrder = inOrder;
        mask = size - 1;
        freeRing = new int[size];
        next = new int[size];
        count = new int[size];
        writableBytes = new long[size];
        headRing = new int[size];
        clear();
    }

    void clear() {
        for (int i = 0; i <= mask; i++) {
            freeRing[i] = i;
            count[i] = NOT_OUT;
        }
        freeFirst = 0;
        free = mask + 1;
        headFirst = 0;
        outstanding = 0;
    }

    int free() {
        return free;
    }

    /** Chains made available and not used yet. */
    int outstanding() {
        return outstanding;
    }

    /** The descriptor that will be the {@code ahead}th of the next chain. */
    int nextFree(final int ahead) {
        return freeRing[freeFirst + ahead & mask];
    }

    /** Takes the next {@code descriptors} free descriptors as one chain. */
    void take(final int descriptors, final long writable) {
        final int head = nextFree(0);
        for (int i = 0; i < descriptors; i++) {
            next[nextFree(i)] = nextFree(i + 1);
        }
        count[head] = descriptors;
        writableBytes[head] = writable;
        headRing[headFirst + outstanding & mask] = head;
        outstanding++;
        freeFirst = freeFirst + descriptors & mask;
        free -= descriptors;
    }

    long writableBytes(final int head) {
        return writableBytes[head];
    }

    /**
     * Frees the chain a used element speaks of and returns its head. In order, an element may stand for a batch by the
     * head of its last chain (virtio 1.2 §2.7.9); then chains come back one by one until that head.
     */
    int complete(final long usedId) {
        if (usedId > mask || count[(int) usedId] == NOT_OUT) {
            throw new AssertionError("used element with id " + usedId + ", which is no head of an available chain");
        }
        final int head = inOrder ? headRing[headFirst & mask] : (int) usedId;
        headFirst++;
        outstanding--;
        int descriptor = head;
        for (int left = count[head]; left > 0; left--) {
            freeRing[freeFirst + free & mask] = descriptor;
            free++;
            descriptor = next[descriptor];
        }
        count[head] = NOT_OUT;
        return head;
    }
}

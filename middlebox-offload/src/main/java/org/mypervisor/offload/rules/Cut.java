package org.mypervisor.offload.rules;

/**
 * Some neighbouring bits of one field, whose value chooses a child. Bits above them may be undecided: a leaf compares whole
 * rules anyway.
 *
 * @param field index of the field
 * @param low the lowest of the bits, from 0
 * @param bits how many
 */
record Cut(int field, int low, int bits) {
    /** Takes no bits: there is one child. */
    static final Cut NONE = new Cut(0, 0, 0);

    int children() {
        return 1 << bits;
    }

    long mask() {
        return (1L << bits) - 1 << low;
    }

    /** The first of the children that a box reaches; if the last is before it, they go on from the first of all. */
    int firstChild(final Box box) {
        return reachesAll(box) ? 0 : (int) (box.first(field) >>> low) & children() - 1;
    }

    int lastChild(final Box box) {
        return reachesAll(box) ? children() - 1 : (int) (box.last(field) >>> low) & children() - 1;
    }

    private boolean reachesAll(final Box box) {
        return Long.compareUnsigned((box.last(field) >>> low) - (box.first(field) >>> low), children() - 1) >= 0;
    }

    /** Number of children that a box reaches. */
    int reach(final Box box) {
        return (lastChild(box) - firstChild(box) & children() - 1) + 1;
    }
}

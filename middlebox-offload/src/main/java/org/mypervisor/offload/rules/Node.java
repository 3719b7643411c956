package org.mypervisor.offload.rules;

/**
 * A node of a cut tree, packed in one word. An inner node takes some bits out of each of two words of the key, which
 * together choose one of its children; these stand one after the other. A leaf has candidates: rules to compare.
 *
 * <pre>
 * inner: 0 | first child 35..62 | (unused) | second cut 13..25 | first cut 0..12     cut: word 10..12, rotation 4..9, bits 0..3
 * leaf:  1 | count 31..62 | first candidate 0..30
 * </pre>
 */
final class Node {
    /** Bits that one cut can take. */
    static final int MOST_BITS = 12;
    /** Bits that both cuts of a node can take together. */
    static final int MOST_BITS_TOGETHER = 15;

    private static final int BITS_MASK = 15;
    private static final int ROTATION_SHIFT = 4;
    private static final int WORD_SHIFT = 10;
    private static final int WORD_MASK = 7;
    private static final int SECOND_SHIFT = 13;
    private static final int CHILD_SHIFT = 35;
    private static final int MOST_CHILDREN = 1 << 28;
    private static final int COUNT_SHIFT = 31;

    private Node() {}

    /** The bits of a key's word that stand at the bottom once it has been rotated; no bits if there is no such cut. */
    static int cut(final int word, final int rotation, final int bits) {
        return word << WORD_SHIFT | (rotation & Long.SIZE - 1) << ROTATION_SHIFT | bits;
    }

    static long inner(final int firstChild, final int firstCut, final int secondCut) {
        if (firstChild >= MOST_CHILDREN) {
            throw new IllegalArgumentException("firstChild=" + firstChild);
        }
        return (long) firstChild << CHILD_SHIFT | (long) secondCut << SECOND_SHIFT | firstCut;
    }

    static long leaf(final int firstCandidate, final int count) {
        return Long.MIN_VALUE | (long) count << COUNT_SHIFT | firstCandidate;
    }

    static boolean isInner(final long node) {
        return node >= 0;
    }

    /**
     * Where the child of an inner node stands to which a key belongs. The second cut's bits stand above the first one's.
     *
     * @param key words, in which this key's begin at {@code start}
     */
    static int child(final long node, final long[] key, final int start) {
        final int first = (int) node;
        final int second = first >>> SECOND_SHIFT;
        final int firstMask = (1 << (first & BITS_MASK)) - 1;
        final int secondMask = (1 << (second & BITS_MASK)) - 1 << (first & BITS_MASK);
        final long firstWord = key[start + (first >>> WORD_SHIFT & WORD_MASK)] >>> (first >>> ROTATION_SHIFT);
        final long secondWord =
                Long.rotateRight(key[start + (second >>> WORD_SHIFT & WORD_MASK)], second >>> ROTATION_SHIFT);
        return (int) (node >>> CHILD_SHIFT) + ((int) firstWord & firstMask | (int) secondWord & secondMask);
    }

    static int firstCandidate(final long leaf) {
        return (int) leaf & Integer.MAX_VALUE;
    }

    static int count(final long leaf) {
        return (int) (leaf >>> COUNT_SHIFT) & Integer.MAX_VALUE;
    }
}

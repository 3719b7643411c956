package org.mypervisor.offload.rules;

/**
 * The rules of one IP version, compiled: a tree whose inner nodes choose a child by a few bits of the frame's key, and whose
 * leaves name the rules that are left, to be compared one after the other. Immutable; any number of workers may share one.
 *
 * <p>Nothing is remembered of frames and nothing is hashed, so no frames make others expensive: a look-up costs at most
 * the deepest way and the longest leaf, which {@link CutTree} settles.
 */
final class Classifier {
    private static final int ROW4 = 4;
    private static final int ROW6 = 10;

    private final KeyLayout layout;
    private final long root;
    private final long[] nodes;
    /** Positions of rules in {@link #rows}, in ascending order within each leaf. */
    private final int[] candidates;
    /** One row of words a rule, see {@link Rows}. */
    private final long[] rows;
    /** The number of the rule in each row. */
    private final int[] rules;

    private final PortLists lists;

    Classifier(
            final KeyLayout layout, final CutTree tree, final long[] rows, final int[] rules, final PortLists lists) {
        this.layout = layout;
        this.root = tree.root();
        this.nodes = tree.nodes();
        this.candidates = tree.candidates();
        this.rows = rows;
        this.rules = rules;
        this.lists = lists;
    }

    /** For each key the least number of a rule that matches, or {@code none}. */
    void firstMatches(final Keys keys, final int none) {
        keys.begin(root);
        descend(keys);
        if (layout == KeyLayout.IPV4) {
            for (int i = 0; i < keys.count(); i++) {
                keys.matches()[i] = firstMatch4(keys.nodes()[i], keys.words(), keys.start(i), none);
            }
        } else {
            for (int i = 0; i < keys.count(); i++) {
                keys.matches()[i] = firstMatch6(keys.nodes()[i], keys.words(), keys.start(i), none);
            }
        }
    }

    /** All keys go down a level at a time; those that have come to a leaf stay there. */
    private void descend(final Keys keys) {
        final long[] tree = nodes;
        final long[] at = keys.nodes();
        final long[] words = keys.words();
        final int count = keys.count();
        // Negative once all of them are leaves.
        long leaves = root;
        while (Node.isInner(leaves)) {
            leaves = -1;
            for (int i = 0; i < count; i++) {
                final long node = at[i];
                if (Node.isInner(node)) {
                    at[i] = tree[Node.child(node, words, keys.start(i))];
                }
                leaves &= at[i];
            }
        }
    }

    private int firstMatch4(final long leaf, final long[] key, final int start, final int none) {
        final long[] words = rows;
        final long addresses = key[start];
        final long transport = key[start + 1];
        int i = Node.firstCandidate(leaf);
        for (final int end = i + Node.count(leaf); i < end; i++) {
            final int row = candidates[i] * ROW4;
            final long greatest = words[row + 3];
            final long differences =
                    (addresses ^ words[row]) & words[row + 1] | Rows.outside(transport, words[row + 2], greatest);
            if (differences == 0 && (Rows.isExact(greatest) || lists.hold(rules[candidates[i]], transport))) {
                return rules[candidates[i]];
            }
        }
        return none;
    }

    private int firstMatch6(final long leaf, final long[] key, final int start, final int none) {
        final long[] words = rows;
        final long transport = key[start + 4];
        int i = Node.firstCandidate(leaf);
        for (final int end = i + Node.count(leaf); i < end; i++) {
            final int row = candidates[i] * ROW6;
            final long greatest = words[row + 9];
            final long differences = (key[start] ^ words[row]) & words[row + 1]
                    | (key[start + 1] ^ words[row + 2]) & words[row + 3]
                    | (key[start + 2] ^ words[row + 4]) & words[row + 5]
                    | (key[start + 3] ^ words[row + 6]) & words[row + 7]
                    | Rows.outside(transport, words[row + 8], greatest);
            if (differences == 0 && (Rows.isExact(greatest) || lists.hold(rules[candidates[i]], transport))) {
                return rules[candidates[i]];
            }
        }
        return none;
    }

    long bytes() {
        return Long.BYTES * ((long) nodes.length + rows.length)
                + Integer.BYTES * ((long) candidates.length + rules.length);
    }
}

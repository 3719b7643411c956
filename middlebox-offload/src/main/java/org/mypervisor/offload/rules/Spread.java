package org.mypervisor.offload.rules;

import java.util.Arrays;
import java.util.List;

/** How a cut, or two, would spread some boxes over children: counted, not carried out. Reused by one control thread. */
final class Spread {
    // Differences from one child to the next: a box adds to the first child that it reaches and takes off behind the
    // last.
    private final int[] counts = new int[(1 << Node.MOST_BITS_TOGETHER) + 1];
    private final double[] weights = new double[(1 << Node.MOST_BITS_TOGETHER) + 1];

    private double left;
    private long copies;

    /** Counts anew. Of two cuts, the children of the first stand side by side. */
    void count(final List<Box> boxes, final Cut first, final Cut second) {
        final int columns = first.children();
        final int children = columns * second.children();
        Arrays.fill(counts, 0, children + 1, 0);
        Arrays.fill(weights, 0, children + 1, 0);
        for (final Box box : boxes) {
            final int reach = second.reach(box);
            final double weight = 1.0 / ((long) first.reach(box) * reach);
            final int begin = first.firstChild(box);
            final int end = first.lastChild(box);
            for (int i = 0; i < reach; i++) {
                final int row = (second.firstChild(box) + i & second.children() - 1) * columns;
                if (begin <= end) {
                    add(row + begin, row + end, weight);
                } else {
                    add(row + begin, row + columns - 1, weight);
                    add(row, row + end, weight);
                }
            }
        }
        sum(children, columns, boxes.size());
    }

    private void add(final int from, final int to, final double weight) {
        counts[from]++;
        counts[to + 1]--;
        weights[from] += weight;
        weights[to + 1] -= weight;
    }

    private void sum(final int children, final int columns, final int boxes) {
        int count = 0;
        double weight = 0;
        double sum = 0;
        copies = 0;
        for (int i = 0; i < children; i++) {
            count += counts[i];
            weight += weights[i];
            sum += weight * count;
            // Where no box begins or ends, the child has the rules of the one before and costs nothing more.
            final boolean differs = counts[i] != 0 || weights[i] != 0 || i % columns == 0;
            copies += differs ? count : 0;
        }
        left = sum / boxes;
    }

    /** The boxes left to a frame, when each box gets as many frames and spreads them over its children. */
    double left() {
        return left;
    }

    /** The boxes of all children that differ from their neighbours. */
    long copies() {
        return copies;
    }
}

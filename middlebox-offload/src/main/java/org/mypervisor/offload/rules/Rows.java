package org.mypervisor.offload.rules;

import java.util.List;

/**
 * Rules in the form in which they are compared with a key, one row of words each: value and mask of each address word, then
 * the least and the greatest values of protocol and ports. A rule is compared without a branch.
 */
final class Rows {
    /** In the last word of a row whose box is not exact. */
    private static final long INEXACT = Long.MIN_VALUE;

    private Rows() {}

    /** One row for each box, in their order. */
    static long[] of(final KeyLayout layout, final List<Box> boxes) {
        final long[] rows = new long[boxes.size() * layout.rowWords()];
        int i = 0;
        for (final Box box : boxes) {
            for (int word = 0; word < layout.addressWords; word++) {
                final long first = word(layout, box, word, false);
                rows[i++] = first;
                rows[i++] = ~(first ^ word(layout, box, word, true));
            }
            rows[i++] = word(layout, box, layout.addressWords, false);
            rows[i++] = word(layout, box, layout.addressWords, true) | KeyLayout.GUARDS | (box.exact() ? 0 : INEXACT);
        }
        return rows;
    }

    private static long word(final KeyLayout layout, final Box box, final int word, final boolean last) {
        long value = 0;
        for (int i = 0; i < layout.fieldCount(); i++) {
            final KeyLayout.Field field = layout.field(i);
            if (field.word() == word) {
                value |= (last ? box.last(i) : box.first(i)) << field.shift();
            }
        }
        return value;
    }

    /** Zero if the word of protocol and ports lies in a row's three ranges. What stands above them is of no account. */
    static long outside(final long transport, final long least, final long greatest) {
        return ~((transport | KeyLayout.GUARDS) - least & greatest - transport) & KeyLayout.GUARDS;
    }

    /** Whether a key in this row's ranges matches, by the row's last word. */
    static boolean isExact(final long greatest) {
        return greatest >= 0;
    }
}

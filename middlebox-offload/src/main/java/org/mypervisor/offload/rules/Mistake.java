package org.mypervisor.offload.rules;

import java.util.Collection;
import java.util.Locale;

/**
 * One mistake in what the user wrote: where, and what and why with the cure. Immutable; made on control threads only.
 *
 * @param place where it stands
 * @param text what is wrong and how to mend it, without a full stop
 */
public record Mistake(Place place, String text) {
    private static final int LONGEST_QUOTE = 60;
    private static final int FIRST_PRINTABLE = 0x20;
    private static final int DELETE = 0x7F;

    @Override
    public String toString() {
        return place + ": " + text;
    }

    /**
     * A word of the user's between quotation marks, shortened, and without characters that a terminal would obey.
     */
    public static String quote(final String word) {
        final StringBuilder quoted = new StringBuilder("'");
        final int end = Math.min(word.length(), LONGEST_QUOTE);
        for (int i = 0; i < end; i++) {
            final char c = word.charAt(i);
            final boolean obeyed = c < FIRST_PRINTABLE || c >= DELETE && Character.isISOControl(c);
            quoted.append(obeyed ? String.format(Locale.ROOT, "\\u%04x", (int) c) : String.valueOf(c));
        }
        return quoted.append(end < word.length() ? "…'" : "'").toString();
    }

    /**
     * {@code "; did you mean 'x'?"} for the known word nearest to a mistyped one, or the empty text if none is near.
     */
    public static String suggest(final String word, final Collection<String> known) {
        final String lower = word.toLowerCase(Locale.ROOT);
        String nearest = "";
        // Something must be left of the word: every one-letter word is one replacement away from every other.
        int least = Math.min(Math.max(1, word.length() / 3), word.length() - 1) + 1;
        for (final String candidate : known) {
            // Words of very different length are far apart, and measuring how far takes memory by their length.
            final boolean mayBeNear = Math.abs(lower.length() - candidate.length()) < least;
            final int distance = mayBeNear ? distance(lower, candidate) : least;
            if (distance < least) {
                least = distance;
                nearest = candidate;
            }
        }
        return nearest.isEmpty() ? "" : "; did you mean '" + nearest + "'?";
    }

    /** Fewest insertions, removals, replacements and swaps of neighbours that turn one word into the other. */
    private static int distance(final String a, final String b) {
        final int[][] cost = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            for (int j = 0; j <= b.length(); j++) {
                cost[i][j] = i == 0 ? j : j == 0 ? i : cheapest(cost, a, b, i, j);
            }
        }
        return cost[a.length()][b.length()];
    }

    private static int cheapest(final int[][] cost, final String a, final String b, final int i, final int j) {
        final int replace = cost[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        final int least = Math.min(replace, 1 + Math.min(cost[i - 1][j], cost[i][j - 1]));
        final boolean swapped =
                i > 1 && j > 1 && a.charAt(i - 1) == b.charAt(j - 2) && a.charAt(i - 2) == b.charAt(j - 1);
        return swapped ? Math.min(least, 1 + cost[i - 2][j - 2]) : least;
    }
}

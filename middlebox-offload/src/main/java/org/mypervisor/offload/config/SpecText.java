package org.mypervisor.offload.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Place;

/**
 * A piece of a specification that still knows where it was written, so that every part cut out of it does too.
 *
 * @param text the piece
 * @param offset where it begins in the whole specification
 * @param places the place of each character of the whole
 * @param folder where relative file names in it begin
 */
record SpecText(String text, int offset, IntFunction<Place> places, Path folder) {
    /** The value of the n-th occurrence of a command line option. */
    static SpecText ofOption(final String option, final int occurrence, final String value) {
        return new SpecText(value, 0, index -> new Place(option, occurrence, index + 1), Path.of(""));
    }

    /** Where the character at this index stands; the index behind the last one is allowed. */
    Place at(final int index) {
        return places.apply(offset + index);
    }

    Place place() {
        return at(0);
    }

    Place end() {
        return at(text.length());
    }

    Word word() {
        return new Word(text, place());
    }

    String quoted() {
        return Mistake.quote(text);
    }

    boolean isEmpty() {
        return text.isEmpty();
    }

    SpecText slice(final int from, final int to) {
        return new SpecText(text.substring(from, to), offset + from, places, folder);
    }

    /** Without white space at both ends. */
    SpecText trimmed() {
        final int from = text.length() - text.stripLeading().length();
        return slice(from, Math.max(from, text.stripTrailing().length()));
    }

    /** The pieces between these separators, trimmed; a separator within parentheses separates nothing. */
    List<SpecText> split(final char separator) {
        final List<SpecText> pieces = new ArrayList<>();
        int depth = 0;
        int start = 0;
        for (int i = 0; i < text.length(); i++) {
            final char c = text.charAt(i);
            depth += nesting(c);
            if (c == separator && depth == 0) {
                pieces.add(slice(start, i).trimmed());
                start = i + 1;
            }
        }
        pieces.add(slice(start, text.length()).trimmed());
        return pieces;
    }

    /** How a character changes the depth of parentheses. */
    static int nesting(final char c) {
        return c == '(' ? 1 : c == ')' ? -1 : 0;
    }

    /** Index of the first parenthesis without partner, or -1. */
    int unbalanced() {
        int depth = 0;
        int outermost = -1;
        for (int i = 0; i < text.length(); i++) {
            final int change = nesting(text.charAt(i));
            if (change == 1 && depth == 0) {
                outermost = i;
            }
            depth += change;
            if (depth < 0) {
                return i;
            }
        }
        return depth == 0 ? -1 : outermost;
    }
}

package org.mypervisor.fuzz;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Place;

/** Checks that mistakes are at places where the user can look: in a known text, or right behind a line's end. */
final class Places {
    /** All that can be said of what has no text, such as a folder that was named as a file. */
    private static final Predicate<Place> UNREADABLE = place -> place.line() == 1 && place.column() == 1;

    private Places() {}

    /** @param sources what was read, by the names that places give it: which of its places exist */
    static void check(final List<Mistake> mistakes, final Map<String, Predicate<Place>> sources) {
        if (mistakes.isEmpty()) {
            throw new AssertionError("refused without a mistake");
        }
        for (final Mistake mistake : mistakes) {
            // The same file may be named in several ways.
            final String name = Path.of(mistake.place().source()).normalize().toString();
            if (!sources.getOrDefault(name, UNREADABLE).test(mistake.place())) {
                throw new AssertionError("no such place: " + mistake);
            }
            if (mistake.text().isBlank()) {
                throw new AssertionError("a mistake without a word: " + mistake);
            }
        }
    }

    /** @param lineBreak regular expression of what ends a line there */
    static Predicate<Place> ofFile(final byte[] text, final String lineBreak) {
        return ofLines(new String(text, StandardCharsets.UTF_8).split(lineBreak, -1));
    }

    static Predicate<Place> ofLines(final String... lines) {
        return place -> place.line() >= 1
                && place.line() <= lines.length
                && place.column() >= 1
                && place.column() <= lines[place.line() - 1].length() + 1;
    }
}

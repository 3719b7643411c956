package org.mypervisor.offload.rules;

import java.util.ArrayList;
import java.util.List;

/** The words of one line of a rule file, read one after the other, each with its place. Comments are left out. */
final class Words {
    private record Word(String text, Place place) {}

    private final List<Word> words = new ArrayList<>();
    private final Place end;
    private int next;

    Words(final Place start, final String line) {
        final int comment = line.indexOf('#');
        final int length = comment < 0 ? line.length() : comment;
        int behind = 0;
        for (int i = 0; i < length; ) {
            int wordEnd = i;
            while (wordEnd < length && !isBlank(line.charAt(wordEnd))) {
                wordEnd++;
            }
            if (wordEnd > i) {
                words.add(new Word(line.substring(i, wordEnd), start.plus(i)));
                behind = wordEnd;
            }
            i = wordEnd + 1;
        }
        end = start.plus(behind);
    }

    private static boolean isBlank(final char c) {
        return c == ' ' || c == '\t';
    }

    boolean atEnd() {
        return next == words.size();
    }

    /** The next word, or the empty text behind the last one. */
    String peek() {
        return atEnd() ? "" : words.get(next).text;
    }

    /** Takes the next word, or the empty text behind the last one. */
    String next() {
        final String text = peek();
        next = Math.min(next + 1, words.size());
        return text;
    }

    /** The next word between quotation marks, or what to call its absence. */
    String quoted() {
        return atEnd() ? "the end of the line" : Mistake.quote(peek());
    }

    /** Where the next word stands, or where it should stand: right behind the last one. */
    Place place() {
        return atEnd() ? end : words.get(next).place;
    }

    /** A mistake at the next word. */
    WrongWordException wrong(final String text) {
        return wrong(place(), text);
    }

    WrongWordException wrong(final Place place, final String text) {
        return new WrongWordException(new Mistake(place, text));
    }

    void expectEnd(final String why) throws WrongWordException {
        if (!atEnd()) {
            throw wrong("unexpected " + quoted() + ": " + why);
        }
    }

    /** All words with one blank between them. */
    String text() {
        return String.join(" ", words.stream().map(Word::text).toList());
    }
}

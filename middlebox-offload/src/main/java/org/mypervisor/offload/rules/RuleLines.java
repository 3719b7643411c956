package org.mypervisor.offload.rules;

/**
 * Hands the lines of a file of rules one by one to what understands them, and collects the first mistake of each. Blank
 * lines and comments are left out.
 */
final class RuleLines {
    /** Characters; longer lines are refused before anybody tries to understand them. */
    static final int MAX_LINE = 4096;

    /** Understands one line that has words. */
    interface Reader {
        void read(Words words, int number) throws WrongWordException;
    }

    private final String source;
    private final Reader reader;
    private final Mistakes mistakes = new Mistakes();

    private RuleLines(final String source, final Reader reader) {
        this.source = source;
        this.reader = reader;
    }

    /**
     * Reads all lines.
     *
     * @param source the name to print in mistakes
     */
    static void read(final String source, final String text, final Reader reader) throws RuleFileException {
        final RuleLines lines = new RuleLines(source, reader);
        int number = 1;
        for (int start = 0; start <= text.length(); number++) {
            final int newline = text.indexOf('\n', start);
            final int end = newline < 0 ? text.length() : newline;
            final boolean carriageReturn = end > start && text.charAt(end - 1) == '\r';
            lines.line(number, text.substring(start, carriageReturn ? end - 1 : end));
            start = end + 1;
        }
        if (!lines.mistakes.isEmpty()) {
            throw new RuleFileException(lines.mistakes.list());
        }
    }

    private void line(final int number, final String line) {
        final Place start = new Place(source, number, 1);
        if (line.length() > MAX_LINE) {
            mistakes.add(
                    start.plus(MAX_LINE),
                    "the line has " + line.length() + " characters, more than " + MAX_LINE
                            + "; write several rules with fewer ports each");
            return;
        }
        final Words words = new Words(start, line);
        if (words.atEnd()) {
            return;
        }
        try {
            reader.read(words, number);
        } catch (final WrongWordException e) {
            mistakes.add(e.mistake());
        }
    }
}

package org.mypervisor.offload.rules;

/**
 * Where something stands in what the user wrote. Printed as {@code source:line:column}.
 *
 * @param source a file as the user named it, or the name of a command line option such as {@code --path}
 * @param line from 1: the line in a file; for a command line option which of its occurrences, the first {@code --path}
 *     being 1
 * @param column from 1, in characters
 */
public record Place(String source, int line, int column) {
    public Place plus(final int columns) {
        return new Place(source, line, column + columns);
    }

    @Override
    public String toString() {
        return source + ":" + line + ":" + column;
    }
}

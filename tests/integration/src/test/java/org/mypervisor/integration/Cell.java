package org.mypervisor.integration;

import java.time.Duration;

/**
 * One combination of a matrix and what is checked in it.
 *
 * @param brief whether it is part of the short form
 */
record Cell(String name, boolean brief, Duration limit, Body body) {
    private static final Duration USUAL_LIMIT = Duration.ofSeconds(240);

    /** What is done and checked; a failed assumption skips the cell. */
    interface Body {
        void run() throws Exception;
    }

    static Cell of(final String name, final Body body) {
        return new Cell(name, false, USUAL_LIMIT, body);
    }

    Cell inShortForm() {
        return new Cell(name, true, limit, body);
    }

    Cell within(final Duration longer) {
        return new Cell(name, brief, longer, body);
    }
}

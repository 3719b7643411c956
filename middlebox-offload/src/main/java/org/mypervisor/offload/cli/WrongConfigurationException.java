package org.mypervisor.offload.cli;

/** The user's arguments, configuration or surroundings must change before this can run; exit code 2. */
final class WrongConfigurationException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final boolean atPlaces;

    WrongConfigurationException(final String message) {
        this(message, false);
    }

    private WrongConfigurationException(final String message, final boolean atPlaces) {
        super(message);
        this.atPlaces = atPlaces;
    }

    /** Lines that begin with {@code file:line:column:}, which editors and scripts read: nothing may stand before it. */
    static WrongConfigurationException atPlaces(final String lines) {
        return new WrongConfigurationException(lines, true);
    }

    boolean isAtPlaces() {
        return atPlaces;
    }
}

package org.mypervisor.offload.cli;

/** The user's arguments, configuration or surroundings must change before this can run; exit code 2. */
final class WrongConfigurationException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    WrongConfigurationException(final String message) {
        super(message);
    }
}

package org.mypervisor.experiment;

/** What was read is no experiment; one line says where and why. */
final class WrongInputException extends Exception {
    private static final long serialVersionUID = 1L;

    WrongInputException(final String message) {
        super(message);
    }
}

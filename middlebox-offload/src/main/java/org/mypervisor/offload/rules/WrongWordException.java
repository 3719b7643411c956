package org.mypervisor.offload.rules;

/** Ends the reading of one line at its first mistake. */
final class WrongWordException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient Mistake mistake;

    WrongWordException(final Mistake mistake) {
        super(mistake.toString());
        this.mistake = mistake;
    }

    Mistake mistake() {
        return mistake;
    }
}

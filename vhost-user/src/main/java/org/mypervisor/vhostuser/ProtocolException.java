package org.mypervisor.vhostuser;

/**
 * A message from the front-end that cannot be obeyed: says which one, which field, and why.
 *
 * <p>The session answers it with a nonzero acknowledgement when one was asked for, else it closes the connection.
 */
public final class ProtocolException extends Exception {
    private static final long serialVersionUID = 1L;

    ProtocolException(final FrontendRequest request, final String why) {
        this(request + ": " + why);
    }

    ProtocolException(final String why) {
        super(printable(why));
    }

    /** The name of a file is the front-end's choice, and the text goes to the log: it shall not look like more lines. */
    private static String printable(final String text) {
        return text.replaceAll("[^ -~]", "?");
    }
}

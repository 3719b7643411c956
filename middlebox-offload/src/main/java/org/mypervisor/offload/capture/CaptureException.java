package org.mypervisor.offload.capture;

import java.io.IOException;

/** A capture file that cannot be replayed; the message is one line and names the file, the place in it and the cure. */
public final class CaptureException extends IOException {
    private static final long serialVersionUID = 1L;

    CaptureException(final String message) {
        super(message);
    }
}

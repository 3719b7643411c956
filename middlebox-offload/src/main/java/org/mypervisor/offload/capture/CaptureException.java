package org.mypervisor.offload.capture;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;

/** A capture file that cannot be replayed; the message is one line and names the file, the place in it and the cure. */
public final class CaptureException extends IOException {
    private static final long serialVersionUID = 1L;

    CaptureException(final String message) {
        super(message);
    }

    /** Why a file cannot be had, of which Java's own message is often no more than the name. */
    static String reason(final IOException e) {
        if (e instanceof AccessDeniedException) {
            return "permission denied";
        }
        if (e instanceof FileSystemException file && file.getReason() != null) {
            return file.getReason();
        }
        return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    }
}

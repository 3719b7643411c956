package org.mypervisor.offload.host;

import java.io.IOException;

/** The kernel refused part of what an XDP port needs; the message says what, and its reason. */
final class XdpRefusedException extends IOException {
    private static final long serialVersionUID = 1L;

    XdpRefusedException(final String why) {
        super(why);
    }
}

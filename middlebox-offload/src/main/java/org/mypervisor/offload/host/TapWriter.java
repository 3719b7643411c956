package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

/** Gives frames to the host through a tap, one system call each: the host has taken them when it returns. */
final class TapWriter extends GatherQueue {
    private final int fd;
    private final long[] iovec = new long[FRAMES];
    private final int[] pieces = new int[FRAMES];

    /** @param fd nonblocking */
    TapWriter(final int fd, final long features, final Losses losses) {
        super(features, losses);
        this.fd = fd;
    }

    @Override
    void put(final int slot, final long newIovec, final int count) {
        iovec[slot] = newIovec;
        pieces[slot] = count;
    }

    @Override
    int send(final int first, final int count) {
        return LIBC.writev(fd, iovec[first], pieces[first]) > 0 ? 1 : 0;
    }
}

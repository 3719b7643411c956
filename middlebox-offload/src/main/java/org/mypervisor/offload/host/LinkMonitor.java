package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import org.mypervisor.vhostuser.FdWaiter;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Waits until some interface of the host changes, rtnetlink(7). What changed is not read: whoever waits looks for himself,
 * and looks once in a while even if nothing was said.
 *
 * <p>One thread waits; any thread may {@link #stop}.
 */
public final class LinkMonitor implements AutoCloseable {
    private static final int AF_NETLINK = 16;
    private static final int SOCK_RAW = 3;
    private static final int RTMGRP_LINK = 1;

    /** struct sockaddr_nl { u16 family; u16 pad; u32 pid; u32 groups; } */
    private static final int ADDRESS_SIZE = 12;

    private static final int GROUPS_OFFSET = 8;
    private static final int SCRATCH_SIZE = 8192;
    private static final int LOOK_AGAIN_MILLIS = 1000;

    private final FdWaiter waiter = new FdWaiter();
    private final long scratch = RawMemory.allocate(SCRATCH_SIZE);
    private final int socket;

    public LinkMonitor() throws IOException {
        socket = LIBC.socket(AF_NETLINK, SOCK_RAW | Libc.SOCK_CLOEXEC | Libc.SOCK_NONBLOCK, 0);
        RawMemory.putLe16(scratch, AF_NETLINK);
        RawMemory.putLe32(scratch + GROUPS_OFFSET, RTMGRP_LINK);
        if (socket < 0 || LIBC.bind(socket, scratch, ADDRESS_SIZE) != 0) {
            final String why = Libc.lastError();
            close();
            throw new IOException("cannot listen for changes of interfaces: " + why);
        }
    }

    /** @return false when {@link #stop} was called */
    public boolean await() {
        final boolean goesOn = waiter.awaitReadable(socket, LOOK_AGAIN_MILLIS);
        while (LIBC.read(socket, scratch, SCRATCH_SIZE) > 0) {
            // They come in crowds; one look does for all.
        }
        return goesOn;
    }

    /** Ends the present wait and every later one. */
    public void stop() {
        waiter.stop();
    }

    /** Only after the waiting thread has ended. */
    @Override
    public void close() {
        LIBC.close(socket);
        waiter.close();
        RawMemory.free(scratch, SCRATCH_SIZE);
    }
}

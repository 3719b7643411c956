package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import org.mypervisor.virtqueue.MemoryProbe;

/** Lets the kernel read a byte of each page, into a memory file of our own: it answers EFAULT where we would fault. */
public final class PageProbe implements MemoryProbe, AutoCloseable {
    private static final int PAGE = 4096;

    private final int scratch;

    public PageProbe() throws IOException {
        scratch = LIBC.memfd_create("mypervisor-probe", Libc.MFD_CLOEXEC);
        if (scratch < 0) {
            throw new IOException("memfd_create: " + Libc.lastError());
        }
    }

    @Override
    public boolean isReadable(final long address, final long length) {
        final long last = address + length - 1;
        for (long at = address; at <= last; at = (at / PAGE + 1) * PAGE) {
            if (LIBC.pwrite(scratch, at, 1, 0) != 1) {
                return false;
            }
        }
        return true;
    }

    @Override
    public void close() {
        LIBC.close(scratch);
    }
}

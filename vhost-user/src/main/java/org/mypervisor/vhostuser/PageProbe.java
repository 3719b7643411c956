package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import jnr.constants.platform.Errno;
import org.mypervisor.virtqueue.MemoryProbe;

/**
 * Lets the kernel fault pages in, with an error where we would get a signal, and leaves their contents alone. A kernel
 * before 5.14 cannot; there a byte of each page is copied into a memory file of our own, which finds what cannot be read.
 */
public final class PageProbe implements MemoryProbe, AutoCloseable {
    private static final int PAGE = 4096;

    /** The memory itself is broken. */
    private static final int EHWPOISON = 133;

    private final int scratch;
    private final boolean populates;

    public PageProbe() throws IOException {
        this(true);
    }

    /** @param populates false to do as on an old kernel */
    PageProbe(final boolean populates) throws IOException {
        this.populates = populates;
        scratch = LIBC.memfd_create("mypervisor-probe", Libc.MFD_CLOEXEC);
        if (scratch < 0) {
            throw new IOException("memfd_create: " + Libc.lastError());
        }
    }

    @Override
    public boolean isReadable(final long address, final long length) {
        return canPopulate(address, length, Libc.MADV_POPULATE_READ);
    }

    @Override
    public boolean isWritable(final long address, final long length) {
        return canPopulate(address, length, Libc.MADV_POPULATE_WRITE);
    }

    private boolean canPopulate(final long address, final long length, final int advice) {
        final long start = address & -PAGE;
        if (!populates) {
            return canCopy(address, length);
        }
        if (LIBC.madvise(start, address + length - start, advice) == 0) {
            return true;
        }
        final int errno = Libc.lastErrno();
        if (errno == Errno.EINVAL.intValue()) {
            return canCopy(address, length);
        }
        // Interrupted or short of memory: that is nobody's fault.
        return errno != Errno.EFAULT.intValue() && errno != EHWPOISON;
    }

    private boolean canCopy(final long address, final long length) {
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

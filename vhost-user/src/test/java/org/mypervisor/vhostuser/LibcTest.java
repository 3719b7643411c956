package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;

class LibcTest {
    private static final int CALLS = 200_000;
    private static final int ROUNDS = 5;

    /** As the packet way does where a driver has no room. */
    @Test
    void shouldTellTheErrnoWithoutAllocating() {
        final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        final long thread = Thread.currentThread().getId();
        long allocated = 0;
        for (int round = 0; round < ROUNDS; round++) {
            final long before = threads.getThreadAllocatedBytes(thread);
            for (int i = 0; i < CALLS; i++) {
                Libc.LIBC.send(-1, 0, 0, 0);
                assertEquals(Errno.EBADF.intValue(), Libc.lastErrno());
            }
            allocated = threads.getThreadAllocatedBytes(thread) - before;
        }
        assertEquals(0, allocated, "bytes, in the last of some rounds");
    }
}

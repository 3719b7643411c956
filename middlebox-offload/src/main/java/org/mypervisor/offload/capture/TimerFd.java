package org.mypervisor.offload.capture;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/** A descriptor that becomes readable at a time, timerfd_create(2). One thread at a time. */
final class TimerFd implements AutoCloseable {
    private static final int CLOCK_MONOTONIC = 1;
    private static final int TFD_NONBLOCK_CLOEXEC = 0x80800;

    /** struct itimerspec { struct timespec interval, value; }, a timespec being two longs. */
    private static final int SPEC_SIZE = 32;

    private static final int SECONDS_OFFSET = 16;
    private static final int NANOS_OFFSET = 24;
    private static final long NANOS_PER_SECOND = 1_000_000_000;

    private final int fd;
    private final long spec = RawMemory.allocate(SPEC_SIZE);

    TimerFd() throws IOException {
        fd = LIBC.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC);
        if (fd < 0) {
            final String why = Libc.lastError();
            RawMemory.free(spec, SPEC_SIZE);
            throw new IOException("timerfd_create: " + why);
        }
    }

    int fd() {
        return fd;
    }

    /** From now, once, in place of what was asked for before. Neither allocates nor fails. */
    void fireIn(final long nanos) {
        RawMemory.putLe64(spec + SECONDS_OFFSET, nanos / NANOS_PER_SECOND);
        // Zero would disarm it.
        RawMemory.putLe64(spec + NANOS_OFFSET, Math.max(nanos % NANOS_PER_SECOND, 1));
        LIBC.timerfd_settime(fd, 0, spec, 0);
    }

    @Override
    public void close() {
        LIBC.close(fd);
        RawMemory.free(spec, SPEC_SIZE);
    }
}

package org.mypervisor.driversim;

import com.kenai.jffi.MemoryIO;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Memory;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.types.off_t;
import jnr.ffi.types.size_t;
import jnr.ffi.types.ssize_t;

/**
 * The system calls of the simulator, through jnr-ffi. Linux on a 64-bit little-endian CPU. File descriptors are plain
 * ints, owned by whoever opened them.
 */
final class Libc {
    /** Public because generated code of another class loader implements it. Not all of jnr-ffi's six-argument calls work: with only primitives the last argument arrives wrong. */
    public interface Calls {
        int memfd_create(String name, int flags);

        int open(String path, int flags, int mode);

        int ftruncate(int fd, @off_t long length);

        int fallocate(int fd, int mode, @off_t long offset, @off_t long length);

        Pointer mmap(Pointer addr, @size_t long len, int prot, int flags, int fd, @off_t long off);

        int munmap(Pointer addr, @size_t long len);

        int eventfd(int initial, int flags);

        int poll(Pointer fds, long count, int timeoutMillis);

        @ssize_t
        long read(int fd, Pointer buffer, @size_t long size);

        @ssize_t
        long write(int fd, Pointer buffer, @size_t long size);

        @ssize_t
        long sendmsg(int fd, Pointer message, int flags);

        @ssize_t
        long recvmsg(int fd, Pointer message, int flags);

        int close(int fd);
    }

    static final int POLLIN = 1;
    static final int POLLOUT = 4;
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_SHARED_NORESERVE = 0x4001;
    private static final int EFD_NONBLOCK_CLOEXEC = 0x80800;
    private static final int MFD_CLOEXEC = 1;
    private static final int O_RDWR_CREAT_CLOEXEC = 0x80042;
    private static final int MODE_0600 = 0x180;
    private static final int FALLOC_FL_PUNCH_HOLE_KEEP_SIZE = 3;

    static final Calls CALLS = LibraryLoader.create(Calls.class).load("c");
    static final Runtime RUNTIME = Runtime.getRuntime(CALLS);

    private Libc() {}

    static int memfd(final String name, final long size) {
        final int fd = check("memfd_create", CALLS.memfd_create(name, MFD_CLOEXEC));
        truncate(fd, size);
        return fd;
    }

    static int create(final String path) {
        return check("open " + path, CALLS.open(path, O_RDWR_CREAT_CLOEXEC, MODE_0600));
    }

    static void truncate(final int fd, final long size) {
        check("ftruncate", CALLS.ftruncate(fd, size));
    }

    static void punchHole(final int fd, final long offset, final long length) {
        check("fallocate", CALLS.fallocate(fd, FALLOC_FL_PUNCH_HOLE_KEEP_SIZE, offset, length));
    }

    static int eventfd(final int initial) {
        return check("eventfd", CALLS.eventfd(initial, EFD_NONBLOCK_CLOEXEC));
    }

    /** Maps {@code length} bytes of a file shared and writable. The caller owns the mapping: {@link #unmap}. */
    static Pointer map(final int fd, final long offset, final long length) {
        final Pointer mapped = CALLS.mmap(null, length, PROT_READ_WRITE, MAP_SHARED_NORESERVE, fd, offset);
        if (mapped == null || mapped.address() == -1L) {
            throw failure("mmap of " + length + " bytes at offset " + offset);
        }
        return mapped;
    }

    static void unmap(final Pointer mapped, final long length) {
        check("munmap", CALLS.munmap(mapped, length));
    }

    /** A view that must not be used after {@link #unmap}: that would end the process. */
    static ByteBuffer view(final Pointer mapped, final int length) {
        return MemoryIO.getInstance().newDirectByteBuffer(mapped.address(), length);
    }

    static Pointer allocate(final int size) {
        return Memory.allocateDirect(RUNTIME, size, true);
    }

    static void close(final int fd) {
        CALLS.close(fd);
    }

    /** Waits until {@code fd} has one of {@code events}, an error or a hang-up. */
    static boolean poll(final int fd, final int events, final Duration timeout) {
        final Pointer pollfd = allocate(8);
        final long deadline = System.nanoTime() + timeout.toNanos();
        for (; ; ) {
            pollfd.putInt(0, fd);
            pollfd.putInt(4, events);
            final long left = Math.max(0, deadline - System.nanoTime());
            final int ready = CALLS.poll(pollfd, 1, (int) Math.min(Integer.MAX_VALUE, (left + 999_999) / 1_000_000));
            if (ready > 0) {
                return true;
            }
            if (ready == 0 && deadline - System.nanoTime() <= 0) {
                return false;
            }
        }
    }

    static int check(final String call, final int result) {
        if (result < 0) {
            throw failure(call);
        }
        return result;
    }

    static int errno() {
        return RUNTIME.getLastError();
    }

    static UncheckedIOException failure(final String call) {
        return new UncheckedIOException(new IOException(call + " failed, errno " + errno()));
    }
}

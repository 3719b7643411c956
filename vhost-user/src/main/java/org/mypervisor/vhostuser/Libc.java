package org.mypervisor.vhostuser;

import jnr.ffi.LibraryLoader;
import jnr.ffi.LibraryOption;
import jnr.ffi.Pointer;
import jnr.ffi.annotations.IgnoreError;
import jnr.ffi.types.off_t;
import jnr.ffi.types.size_t;
import jnr.posix.POSIX;
import jnr.posix.POSIXFactory;

/**
 * The system calls that jnr-posix does not have. Addresses are passed as {@code long} so that the packet way can call
 * without allocating.
 *
 * <p>A method of six primitive arguments gets a wrong last one from jnr-ffi, which is why {@link #mmap} takes a pointer.
 */
public interface Libc {
    Libc LIBC =
            LibraryLoader.create(Libc.class).option(LibraryOption.LoadNow, true).load("c");

    POSIX POSIX_CALLS = POSIXFactory.getNativePOSIX();

    int EFD_CLOEXEC = 0x80000;
    int EFD_NONBLOCK = 0x800;

    int EPOLL_CLOEXEC = 0x80000;
    int EPOLL_CTL_ADD = 1;
    int EPOLL_CTL_DEL = 2;
    int EPOLLIN = 1;
    /** Edge-triggered: every write to an eventfd reports once, whether or not anybody read it. */
    int EPOLLET = 1 << 31;

    int POLLIN = 1;
    int POLLOUT = 4;

    int PROT_READ_WRITE = 3;
    int MAP_SHARED = 1;
    int MAP_PRIVATE = 2;
    int MAP_ANONYMOUS = 0x20;
    int MAP_POPULATE = 0x8000;
    int MAP_NORESERVE = 0x4000;

    /** Linux 5.14. */
    int MADV_POPULATE_READ = 22;

    int MADV_POPULATE_WRITE = 23;

    int MFD_CLOEXEC = 1;

    int RWF_NOWAIT = 8;

    int PRIO_PROCESS = 0;

    int O_CLOEXEC = 0x80000;

    int SOCK_CLOEXEC = 0x80000;
    int SOCK_NONBLOCK = 0x800;

    Pointer mmap(Pointer address, @size_t long length, int protection, int flags, int fd, @off_t long offset);

    int madvise(long address, @size_t long length, int advice);

    int munmap(long address, @size_t long length);

    int eventfd(int initial, int flags);

    int epoll_create1(int flags);

    int epoll_ctl(int epollFd, int operation, int fd, long event);

    @IgnoreError
    int epoll_wait(int epollFd, long events, int maxEvents, int timeoutMillis);

    int poll(long fds, long count, int timeoutMillis);

    /** Returns a long where the system call does; none of the numbers used here has more than three arguments. */
    @IgnoreError
    long syscall(long number, long first, long second, long third);

    /** As bpf(2) takes them. */
    long syscall(long number, int first, long second, int third);

    /** With RWF_NOWAIT it never blocks, whatever the descriptor's flags are. */
    long preadv2(int fd, long iovec, int count, @off_t long offset, int flags);

    int timerfd_create(int clock, int flags);

    @IgnoreError
    int timerfd_settime(int fd, int flags, long newValue, long oldValue);

    int memfd_create(String name, int flags);

    long pwrite(int fd, long buffer, @size_t long size, @off_t long offset);

    int fstatfs(int fd, long statfs);

    /** For eventfds: a full counter answers EAGAIN, which is as good as written. */
    @IgnoreError
    long write(int fd, long buffer, @size_t long size);

    int close(int fd);

    int socket(int domain, int type, int protocol);

    int bind(int socket, long address, int addressLength);

    int setsockopt(int socket, int level, int name, long value, int valueLength);

    int ioctl(int fd, long request, long argument);

    @IgnoreError
    long read(int fd, long buffer, @size_t long size);

    @IgnoreError
    long writev(int fd, long iovec, int count);

    @IgnoreError
    int sendmmsg(int socket, long messages, int count, int flags);

    long send(int socket, long buffer, @size_t long size, int flags);

    @IgnoreError
    long recv(int socket, long buffer, @size_t long size, int flags);

    int accept4(int socket, long address, long addressLength, int flags);

    int getsockopt(int socket, int level, int name, long value, long valueLength);

    int sched_setaffinity(int tid, @size_t long size, long mask);

    int sched_getaffinity(int tid, @size_t long size, long mask);

    @IgnoreError
    int getpriority(int which, int id);

    @IgnoreError
    int setpriority(int which, int id, int nice);

    /** The errno that the calling thread's last call left. */
    static int lastErrno() {
        return jnr.ffi.LastError.getLastError(jnr.ffi.Runtime.getSystemRuntime());
    }

    /** Its text. */
    static String lastError() {
        return POSIX_CALLS.strerror(lastErrno());
    }
}

package org.mypervisor.offload.gso;

import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/** Memory that ends: an access to the byte behind raises {@link InternalError}. Lives as long as the process. */
final class MemoryEdge {
    private static final int SIZE = 0x2_0000;

    private final long end;

    MemoryEdge() {
        final int fd = Libc.LIBC.memfd_create("edge", Libc.MFD_CLOEXEC);
        if (Libc.POSIX_CALLS.ftruncate(fd, SIZE) != 0) {
            throw new AssertionError(Libc.lastError());
        }
        // Twice as long as the file: pages behind its end are mapped and cannot be touched.
        end = Libc.LIBC
                        .mmap(null, 2 * SIZE, Libc.PROT_READ_WRITE, Libc.MAP_SHARED, fd, 0)
                        .address()
                + SIZE;
        Libc.LIBC.close(fd);
    }

    /** Returns the address of bytes that end where the memory does. */
    long put(final byte[] bytes) {
        final long address = end - bytes.length;
        for (int i = 0; i < bytes.length; i++) {
            RawMemory.putU8(address + i, bytes[i]);
        }
        return address;
    }
}

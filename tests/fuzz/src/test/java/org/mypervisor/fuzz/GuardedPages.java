package org.mypervisor.fuzz;

import jnr.ffi.LibraryLoader;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.types.off_t;
import jnr.ffi.types.size_t;

/**
 * Mappings with an inaccessible page before and behind each: an access outside ends the process, so that a range check
 * that is missing cannot go unnoticed. Nothing is ever unmapped; tests make them once.
 */
final class GuardedPages {
    static final long PAGE = 4096;

    /** Public because generated code of another class loader implements it. */
    public interface Calls {
        Pointer mmap(Pointer address, @size_t long length, int protection, int flags, int fd, @off_t long offset);
    }

    private static final Calls CALLS = LibraryLoader.create(Calls.class).load("c");

    private static final int PROT_NONE = 0;
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_SHARED = 1;
    private static final int MAP_PRIVATE = 2;
    private static final int MAP_FIXED = 0x10;
    private static final int MAP_ANONYMOUS = 0x20;

    private GuardedPages() {}

    /** Maps whole pages of a file; returns the address. */
    static long map(final long size, final int fd, final long offset) {
        return map(size, MAP_SHARED, fd, offset);
    }

    /** Private pages of zeros. */
    static long allocate(final long size) {
        return map(size, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }

    private static long map(final long size, final int flags, final int fd, final long offset) {
        final long guarded = size + 2 * PAGE;
        final Pointer reserved = CALLS.mmap(null, guarded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        final Pointer inner = Pointer.wrap(Runtime.getRuntime(CALLS), reserved.address() + PAGE);
        final Pointer mapped = CALLS.mmap(inner, size, PROT_READ_WRITE, flags | MAP_FIXED, fd, offset);
        if (mapped.address() != inner.address()) {
            throw new AssertionError("mmap of " + size + " bytes failed");
        }
        return mapped.address();
    }
}

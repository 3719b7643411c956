package org.mypervisor.driversim;

/**
 * One row of a vhost-user memory table: bytes {@code mmapOffset .. mmapOffset + size} of a file are guest physical
 * {@code gpa} and front-end virtual {@code uva}. Sizes and offsets in bytes.
 */
public record Region(long gpa, long size, long uva, long mmapOffset) {
    /** Whether all of the range lies in this region; safe against overflow. */
    public boolean contains(final long rangeGpa, final long length) {
        final long offset = rangeGpa - gpa;
        return Long.compareUnsigned(offset, size) < 0 && Long.compareUnsigned(length, size - offset) <= 0;
    }

    /** First guest physical address after this region. */
    public long endGpa() {
        return gpa + size;
    }
}

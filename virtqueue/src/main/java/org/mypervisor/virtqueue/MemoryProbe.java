package org.mypervisor.virtqueue;

/**
 * Finds out whether memory can be had without touching it here, where a page that cannot be had raises an error at an
 * uncertain moment.
 */
public interface MemoryProbe {
    /**
     * Tries every page of a mapped range.
     *
     * @param address host address
     * @param length bytes
     */
    boolean isReadable(long address, long length);

    /** As {@link #isReadable}, for a range that we write: a hole may read as zero and yet have no room for a page. */
    boolean isWritable(long address, long length);
}

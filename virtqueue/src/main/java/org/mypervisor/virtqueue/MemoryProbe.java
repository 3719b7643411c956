package org.mypervisor.virtqueue;

/**
 * Finds out whether memory can be read without reading it here, where a page that cannot be had raises an error at an
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
}

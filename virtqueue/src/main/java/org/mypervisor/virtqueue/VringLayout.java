package org.mypervisor.virtqueue;

/**
 * Where a split ring lies and what was negotiated for it: the inputs of {@link SplitVirtqueue}, not yet validated.
 *
 * @param size entries, a power of two in 1..32768 (virtio 1.2 §2.7)
 * @param descUva front-end virtual address of the descriptor table
 * @param availUva front-end virtual address of the available ring (driver area)
 * @param usedUva front-end virtual address of the used ring (device area)
 * @param writable true for a receiveq, whose buffers we write; false for a transmitq, whose buffers we read
 * @param features the negotiated virtio features
 */
public record VringLayout(int size, long descUva, long availUva, long usedUva, boolean writable, long features) {
    public static final int MAX_SIZE = 32768;

    /** True when the size is one that virtio allows for a split ring. */
    public static boolean isValidSize(final long size) {
        return size >= 1 && size <= MAX_SIZE && Long.bitCount(size) == 1;
    }
}

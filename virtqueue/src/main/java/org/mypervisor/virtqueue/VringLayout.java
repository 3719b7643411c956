package org.mypervisor.virtqueue;

/**
 * Where a virtqueue lies and what was negotiated for it: the inputs of {@link Virtqueue#of}, not yet validated.
 *
 * @param size descriptors, {@link #isValidSize}
 * @param descUva front-end virtual address of the descriptor table or packed descriptor ring
 * @param availUva front-end virtual address of the driver area: available ring, or driver event suppression
 * @param usedUva front-end virtual address of the device area: used ring, or device event suppression
 * @param writable true for a receiveq, whose buffers we write; false for a transmitq, whose buffers we read
 * @param features the negotiated virtio features
 * @param base where the queue goes on, as SET_VRING_BASE encodes it; a split ring knows that itself
 * @param baseIsOurs whether {@code base} is known to be right because this process stopped the queue there or its
 *     connection saw it start
 */
public record VringLayout(
        int size,
        long descUva,
        long availUva,
        long usedUva,
        boolean writable,
        long features,
        int base,
        boolean baseIsOurs) {
    public static final int MAX_SIZE = 32768;

    /** Whether virtio allows the size: 1..32768, and for a split ring a power of two (virtio 1.2 §2.7 and §2.8). */
    public static boolean isValidSize(final long size, final boolean packed) {
        return size >= 1 && size <= MAX_SIZE && (packed || Long.bitCount(size) == 1);
    }
}

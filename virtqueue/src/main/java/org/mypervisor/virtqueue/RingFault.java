package org.mypervisor.virtqueue;

import java.util.Locale;

/**
 * What a driver can do wrong. A bad buffer costs its chain, which goes back to the driver with length 0; a bad ring
 * stops that ring until the front-end sets it up again.
 */
public enum RingFault {
    /** A buffer, or part of one, lies outside guest memory. */
    BUFFER_UNMAPPED(false),
    /** A device-writable buffer in a transmitq, or a device-readable one in a receiveq or after a writable one. */
    WRONG_DIRECTION(false),
    /** No room for the virtio-net header, or no frame behind it. */
    HEADER_SHORT(false),
    /** A virtio-net header that asks for a checksum or for segments that its frame does not allow. */
    BAD_OFFLOAD(false),
    /** More bytes or buffers than any frame needs. */
    CHAIN_TOO_LONG(false),
    /** {@code avail.idx} is further ahead than the queue is long. */
    AVAIL_IDX_JUMP(true),
    /** A head or {@code next} that is not below the queue's size. */
    INDEX_OUT_OF_RANGE(true),
    /** More descriptors in a chain than in its table, or than any chain has: a loop. */
    CHAIN_LOOP(true),
    /** An indirect table within an indirect table, beside NEXT, of a wrong length, or without the feature. */
    BAD_INDIRECT(true),
    /** The memory below the ring went away, for instance because its file was truncated. */
    MEMORY_GONE(true),
    /** Its call eventfd was full and blocking, so that calling the driver would have stopped the worker. */
    CALL_BLOCKED(true),
    /** A packet socket's ring and its queue do not have the same frames. */
    OUT_OF_STEP(true),
    /** A mistake of our own while we ran it. */
    BACK_END_ERROR(true);

    private static final RingFault[] VALUES = values();

    /** Number of faults; the size of a counter array indexed by ordinal. */
    public static final int COUNT = VALUES.length;

    private final boolean breaksRing;
    private final String key = name().toLowerCase(Locale.ROOT);

    RingFault(final boolean breaksRing) {
        this.breaksRing = breaksRing;
    }

    public boolean breaksRing() {
        return breaksRing;
    }

    /** The key used in the statistics. */
    public String key() {
        return key;
    }

    public static RingFault of(final int ordinal) {
        return VALUES[ordinal];
    }
}

package org.mypervisor.offload.capture;

import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.VirtioNetHdr;

/**
 * Layout of a frame in private memory, the same for what is to be replayed and what is to be written:
 *
 * <pre>
 * struct { u64 nanos; u32 length; u32 original_length; u8 pad[6]; u8 net_hdr[10]; u8 frame[length]; }, padded to 8 bytes
 * </pre>
 *
 * <p>The virtio-net header right in front of the frame makes both one piece, as a queue wants it.
 */
final class FrameRecord {
    static final int NET_HDR_SIZE = VirtioNetHdr.LEGACY_SIZE;
    static final int NET_HDR_OFFSET = 22;
    static final int FRAME_OFFSET = NET_HDR_OFFSET + NET_HDR_SIZE;

    /** The longest frame of any port: 64 KiB behind an Ethernet header with tags. */
    static final int MAX_FRAME = 65_589;

    private static final int LENGTH_OFFSET = 8;
    private static final int ORIGINAL_LENGTH_OFFSET = 12;
    private static final int ALIGNMENT = 8;

    private FrameRecord() {}

    /** Bytes from one record to the next. */
    static int size(final int length) {
        return FRAME_OFFSET + length + ALIGNMENT - 1 & -ALIGNMENT;
    }

    /** When it was captured: nanoseconds since 1970 in UTC, from 0. */
    static long nanos(final long record) {
        return RawMemory.le64(record);
    }

    /** Bytes of the frame that are there, 0..{@link #MAX_FRAME}. */
    static int length(final long record) {
        return (int) RawMemory.le32(record + LENGTH_OFFSET);
    }

    /** Bytes that it had on the wire, as an unsigned number of 32 bits. */
    static long originalLength(final long record) {
        return RawMemory.le32(record + ORIGINAL_LENGTH_OFFSET);
    }

    static void put(final long record, final long nanos, final int length, final long originalLength) {
        RawMemory.putLe64(record, nanos);
        RawMemory.putLe32(record + LENGTH_OFFSET, length);
        RawMemory.putLe32(record + ORIGINAL_LENGTH_OFFSET, originalLength);
    }
}

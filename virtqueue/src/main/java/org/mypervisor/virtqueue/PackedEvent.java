package org.mypervisor.virtqueue;

/**
 * Layout of the two event suppression areas of a packed ring, virtio 1.2 §2.8.14: the driver's, which we read, and the
 * device's, which we write. Each is one aligned word, so that offset and flags always belong together.
 *
 * <pre>
 * struct pvirtq_event_suppress { le16 { desc_event_off : 15; desc_event_wrap : 1; }; le16 desc_event_flags; };
 * </pre>
 */
final class PackedEvent {
    static final int SIZE = 4;
    static final int ALIGNMENT = 4;

    static final int RING_EVENT_FLAGS_ENABLE = 0;
    static final int RING_EVENT_FLAGS_DISABLE = 1;
    static final int RING_EVENT_FLAGS_DESC = 2;

    private static final int OFF_MASK = 0x7FFF;
    private static final int WRAP_SHIFT = 15;

    private PackedEvent() {}

    static int load(final long area) {
        return (int) RawMemory.le32(area);
    }

    static void put(final long area, final int flags, final int off, final boolean wrap) {
        RawMemory.putLe32(area, (long) flags << 16 | offWrap(off, wrap));
    }

    /** An index and its wrap counter in the 15 + 1 bits that event areas and vring bases share. */
    static int offWrap(final int off, final boolean wrap) {
        return off | (wrap ? 1 << WRAP_SHIFT : 0);
    }

    static int off(final int offWrap) {
        return offWrap & OFF_MASK;
    }

    static boolean wrap(final int offWrap) {
        return (offWrap >>> WRAP_SHIFT & 1) != 0;
    }

    static int flags(final int event) {
        return event >>> 16 & 3;
    }
}

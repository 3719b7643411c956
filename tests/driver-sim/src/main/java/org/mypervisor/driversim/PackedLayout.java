package org.mypervisor.driversim;

/**
 * Where the three parts of a packed virtqueue lie in guest memory, virtio 1.2 §2.8.10.1. All addresses are gpa.
 *
 * <pre>
 * descriptor ring (align 16) size * { addr le64 0, len le32 8, id le16 12, flags le16 14 }
 * driver event    (align 4)  { desc le16 0 (offset bits 0-14, wrap bit 15), flags le16 2 (bits 0-1) }
 * device event    (align 4)  as the driver's
 * </pre>
 *
 * @param size entries, 1 to 32768
 */
public record PackedLayout(int size, long descGpa, long driverEventGpa, long deviceEventGpa) implements RingLayout {
    static final int DESC_SIZE = 16;
    static final int DESC_LEN = 8;
    static final int DESC_ID = 12;
    static final int DESC_FLAGS = 14;
    static final int EVENT_SIZE = 4;
    static final int EVENT_FLAGS = 2;

    /** Takes fresh memory for the three parts, on pages of their own. */
    public static PackedLayout allocate(final GuestMemoryFile memory, final int size) {
        return new PackedLayout(
                size,
                memory.allocate(descBytes(size), 4096),
                memory.allocate(EVENT_SIZE, 4096),
                memory.allocate(EVENT_SIZE, 4096));
    }

    public static long descBytes(final int size) {
        return (long) DESC_SIZE * size;
    }

    @Override
    public long availGpa() {
        return driverEventGpa;
    }

    @Override
    public long usedGpa() {
        return deviceEventGpa;
    }

    long descGpa(final int slot) {
        return descGpa + (long) DESC_SIZE * slot;
    }
}

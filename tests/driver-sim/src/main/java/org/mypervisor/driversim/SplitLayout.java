package org.mypervisor.driversim;

/**
 * Where the three parts of a split virtqueue lie in guest memory, virtio 1.2 §2.7. All addresses are gpa.
 *
 * <pre>
 * desc  (align 16) size * { addr le64 0, len le32 8, flags le16 12, next le16 14 }
 * avail (align 2)  { flags le16 0, idx le16 2, ring[size] le16 4.., used_event le16 4 + 2*size }
 * used  (align 4)  { flags le16 0, idx le16 2, ring[size] { id le32, len le32 } 4.., avail_event le16 4 + 8*size }
 * </pre>
 *
 * @param size entries, a power of two up to 32768
 */
public record SplitLayout(int size, long descGpa, long availGpa, long usedGpa) implements RingLayout {
    static final int DESC_SIZE = 16;
    static final int DESC_LEN = 8;
    static final int DESC_FLAGS = 12;
    static final int DESC_NEXT = 14;
    static final int IDX = 2;
    static final int RING = 4;
    static final int AVAIL_ENTRY_SIZE = 2;
    static final int USED_ENTRY_SIZE = 8;
    static final int USED_LEN = 4;

    /** Takes fresh memory for the three parts, on pages of their own. */
    public static SplitLayout allocate(final GuestMemoryFile memory, final int size) {
        return new SplitLayout(
                size,
                memory.allocate(descBytes(size), 4096),
                memory.allocate(availBytes(size), 4096),
                memory.allocate(usedBytes(size), 4096));
    }

    public static long descBytes(final int size) {
        return 16L * size;
    }

    public static long availBytes(final int size) {
        return 6 + 2L * size;
    }

    public static long usedBytes(final int size) {
        return 6 + 8L * size;
    }

    long descGpa(final int index) {
        return descGpa + (long) DESC_SIZE * index;
    }

    long availEntryGpa(final int index) {
        return availGpa + RING + (long) AVAIL_ENTRY_SIZE * (index & size - 1);
    }

    long usedEntryGpa(final int index) {
        return usedGpa + RING + (long) USED_ENTRY_SIZE * (index & size - 1);
    }

    long usedEventGpa() {
        return availGpa + RING + (long) AVAIL_ENTRY_SIZE * size;
    }

    long availEventGpa() {
        return usedGpa + RING + (long) USED_ENTRY_SIZE * size;
    }
}

package org.mypervisor.driversim;

/**
 * The three parts of a split virtqueue as bytes in guest memory: the fields a driver writes and those it reads, one
 * method each, with no opinion on their values. {@link SplitDriver} keeps the rules; hostile tests write here what they
 * like. For one thread.
 */
public final class DriverRing {
    private final GuestMemoryFile memory;
    private final SplitLayout layout;

    DriverRing(final GuestMemoryFile memory, final SplitLayout layout) {
        this.memory = memory;
        this.layout = layout;
    }

    public SplitLayout layout() {
        return layout;
    }

    /** Writes one descriptor: {@code length} 32 bits, {@code flags} and {@code next} 16. */
    public void writeDescriptor(final int index, final long gpa, final long length, final int flags, final int next) {
        writeDescriptorAt(layout.descGpa(index), gpa, length, flags, next);
    }

    /** As {@link #writeDescriptor}, anywhere in memory: for indirect tables. */
    public void writeDescriptorAt(final long at, final long gpa, final long length, final int flags, final int next) {
        memory.putLe64(at, gpa);
        memory.putLe32(at + SplitLayout.DESC_LEN, length);
        memory.putLe16(at + SplitLayout.DESC_FLAGS, flags);
        memory.putLe16(at + SplitLayout.DESC_NEXT, next);
    }

    /** Writes the avail ring slot of a free-running index. */
    public void writeAvailEntry(final int index, final int head) {
        memory.putLe16(layout.availEntryGpa(index), head);
    }

    /** Store-release; pairs with the device's acquire. */
    public void writeAvailIdx(final int index) {
        memory.putLe16Release(layout.availGpa() + SplitLayout.IDX, index);
    }

    public void writeAvailFlags(final int flags) {
        memory.putLe16Release(layout.availGpa(), flags);
    }

    public void writeUsedEvent(final int index) {
        memory.putLe16Release(layout.usedEventGpa(), index);
    }

    /** Load-acquire; pairs with the device's release. */
    public int usedIdx() {
        return memory.le16Acquire(layout.usedGpa() + SplitLayout.IDX);
    }

    public int usedFlags() {
        return memory.le16Acquire(layout.usedGpa());
    }

    public int availEvent() {
        return memory.le16Acquire(layout.availEventGpa());
    }

    /** Head in the used ring slot of a free-running index, 32 bits unsigned. */
    public long usedId(final int index) {
        return memory.le32(layout.usedEntryGpa(index));
    }

    /** Bytes written, in the used ring slot of a free-running index, 32 bits unsigned. */
    public long usedLength(final int index) {
        return memory.le32(layout.usedEntryGpa(index) + SplitLayout.USED_LEN);
    }

    /** Zeroes all three parts. */
    public void zero() {
        memory.fill(layout.descGpa(), (int) SplitLayout.descBytes(layout.size()), 0);
        memory.fill(layout.availGpa(), (int) SplitLayout.availBytes(layout.size()), 0);
        memory.fill(layout.usedGpa(), (int) SplitLayout.usedBytes(layout.size()), 0);
    }
}

package org.mypervisor.driversim;

/**
 * The three parts of a packed virtqueue as bytes in guest memory: the fields a driver writes and those it reads, one
 * method each, with no opinion on their values. {@link PackedDriver} keeps the rules; tests write here what they like.
 * For one thread.
 */
public final class PackedRing {
    private final GuestMemory memory;
    private final PackedLayout layout;

    PackedRing(final GuestMemory memory, final PackedLayout layout) {
        this.memory = memory;
        this.layout = layout;
    }

    public PackedLayout layout() {
        return layout;
    }

    /** Writes all of a descriptor in the ring but its flags: {@code length} 32 bits, {@code id} 16. */
    public void writeDescriptor(final int slot, final long gpa, final long length, final int id) {
        final long at = layout.descGpa(slot);
        memory.putLe64(at, gpa);
        memory.putLe32(at + PackedLayout.DESC_LEN, length);
        memory.putLe16(at + PackedLayout.DESC_ID, id);
    }

    /** Writes a whole descriptor anywhere in memory: for indirect tables. */
    public void writeDescriptorAt(final long at, final Descriptor descriptor, final int id) {
        memory.putLe64(at, descriptor.gpa());
        memory.putLe32(at + PackedLayout.DESC_LEN, descriptor.length());
        memory.putLe16(at + PackedLayout.DESC_ID, id);
        memory.putLe16(at + PackedLayout.DESC_FLAGS, descriptor.flags());
    }

    public void writeId(final int slot, final int id) {
        memory.putLe16(layout.descGpa(slot) + PackedLayout.DESC_ID, id);
    }

    public void writeFlags(final int slot, final int flags) {
        memory.putLe16(layout.descGpa(slot) + PackedLayout.DESC_FLAGS, flags);
    }

    /** Store-release; pairs with the device's acquire of the same flags. */
    public void writeFlagsRelease(final int slot, final int flags) {
        memory.putLe16Release(layout.descGpa(slot) + PackedLayout.DESC_FLAGS, flags);
    }

    /** Load-acquire; pairs with the device's release of the same flags. */
    public int flags(final int slot) {
        return memory.le16Acquire(layout.descGpa(slot) + PackedLayout.DESC_FLAGS);
    }

    public int id(final int slot) {
        return memory.le16(layout.descGpa(slot) + PackedLayout.DESC_ID);
    }

    /** Bytes, 32 bits unsigned. */
    public long length(final int slot) {
        return memory.le32(layout.descGpa(slot) + PackedLayout.DESC_LEN);
    }

    /** Offset and wrap counter first: whoever sees {@code flags} sees them too. */
    public void writeDriverEvent(final int offsetAndWrap, final int flags) {
        memory.putLe16(layout.driverEventGpa(), offsetAndWrap);
        memory.putLe16Release(layout.driverEventGpa() + PackedLayout.EVENT_FLAGS, flags);
    }

    /** Load-acquire, to come before {@link #deviceEventOffset}. */
    public int deviceEventFlags() {
        return memory.le16Acquire(layout.deviceEventGpa() + PackedLayout.EVENT_FLAGS);
    }

    /** Bits 0-14 the offset, 15 the wrap counter. */
    public int deviceEventOffset() {
        return memory.le16Acquire(layout.deviceEventGpa());
    }

    /** Zeroes all three parts. */
    public void zero() {
        memory.fill(layout.descGpa(), (int) PackedLayout.descBytes(layout.size()), 0);
        memory.fill(layout.driverEventGpa(), PackedLayout.EVENT_SIZE, 0);
        memory.fill(layout.deviceEventGpa(), PackedLayout.EVENT_SIZE, 0);
    }
}

package org.mypervisor.driversim;

import static org.mypervisor.driversim.Virtio.RING_EVENT_FLAGS_DESC;
import static org.mypervisor.driversim.Virtio.RING_EVENT_FLAGS_DISABLE;
import static org.mypervisor.driversim.Virtio.RING_EVENT_FLAGS_ENABLE;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_AVAIL;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_NEXT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_USED;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_WRITE;

import java.lang.invoke.VarHandle;
import java.util.List;

/**
 * The driver's side of one packed virtqueue, written from virtio 1.2 §2.8. All chains of a burst become available at
 * once: the flags of the first descriptor of the first chain are held back until {@link #publish}.
 */
public final class PackedDriver extends DriverQueue {
    private static final int EVENT_FLAGS = 3;
    private static final int WRAP = 0x8000;
    private static final int NONE = -1;
    /** Of chains whose contents this driver does not know. */
    private static final long ANY_LENGTH = 0xFFFF_FFFFL;

    private final PackedRing ring;
    private final PackedBuffers buffers;
    private final int size;
    private final boolean eventIdx;
    private final PackedPosition avail;
    private final PackedPosition used;
    private int heldSlot = NONE;
    private int heldFlags;
    private int addedSinceKick;
    private int batchId = NONE;
    private long batchLength;

    /** @param features what was negotiated: EVENT_IDX and IN_ORDER matter here */
    public PackedDriver(final GuestMemoryFile memory, final PackedLayout layout, final long features) {
        super(memory, layout.size(), PackedBase.FIRST);
        ring = new PackedRing(memory, layout);
        size = layout.size();
        eventIdx = Virtio.has(features, Virtio.VIRTIO_F_EVENT_IDX);
        buffers = new PackedBuffers(size, Virtio.has(features, Virtio.VIRTIO_F_IN_ORDER));
        avail = new PackedPosition(size);
        used = new PackedPosition(size);
    }

    /** Plain descriptors, or an indirect one; in a packed ring never both, virtio 1.2 §2.8.19. */
    @Override
    public int add(final List<Buffer> plain, final List<Buffer> indirect) {
        if (indirect.isEmpty()) {
            return add(descriptors(plain), writableBytes(plain));
        }
        if (!plain.isEmpty()) {
            throw new IllegalArgumentException("an indirect descriptor must be alone in its chain");
        }
        return add(List.of(indirect(nextHead(), indirect)), writableBytes(indirect));
    }

    @Override
    public int addOne(final long gpa, final int length, final boolean writable) {
        if (buffers.freeDescriptors() == 0) {
            return NONE;
        }
        final int id = buffers.nextId(avail.slot());
        write(gpa, length, writable ? VIRTQ_DESC_F_WRITE : 0, id);
        buffers.take(id, 1, writable ? length : 0);
        return id;
    }

    @Override
    public int addRaw(final List<Descriptor> chain) {
        return add(chain, ANY_LENGTH);
    }

    /** One descriptor after the other: tables have no links here, virtio 1.2 §2.8.7. */
    @Override
    public void writeTable(final long gpa, final List<Descriptor> entries) {
        for (int i = 0; i < entries.size(); i++) {
            ring.writeDescriptorAt(gpa + 16L * i, entries.get(i), 0);
        }
    }

    @Override
    public int nextHead() {
        requireFree(1);
        return buffers.nextId(avail.slot());
    }

    /** Release of the flags held back, after all other descriptors and everything they point to. */
    @Override
    public void publish() {
        if (heldSlot != NONE) {
            ring.writeFlagsRelease(heldSlot, heldFlags);
            heldSlot = NONE;
        }
    }

    /** virtio 1.2 §2.8.21.2. */
    @Override
    boolean isKickWanted() {
        // Full fence between our store of flags and the load of what the device wants; pairs with the device's fence
        // between storing its event suppression and looking at the next descriptor again.
        VarHandle.fullFence();
        final int since = addedSinceKick;
        addedSinceKick = 0;
        final int flags = ring.deviceEventFlags() & EVENT_FLAGS;
        if (flags != RING_EVENT_FLAGS_DESC || !eventIdx) {
            return since > 0 && flags != RING_EVENT_FLAGS_DISABLE;
        }
        final int event = ring.deviceEventOffset();
        // Of the lap before this one, the slot lies that much further back.
        final int offset = (event & WRAP - 1) - ((event & WRAP) != 0 == avail.wrap() ? 0 : size);
        return (avail.slot() - offset - 1 & 0xFFFF) < since;
    }

    @Override
    public boolean nextUsed() {
        if (batchId == NONE && !takeUsedDescriptor()) {
            return false;
        }
        final int id = buffers.given(batchId, 0);
        setUsed(id, id == batchId ? batchLength : buffers.writableBytes(id));
        if (id == batchId) {
            batchId = NONE;
        }
        used.advance(buffers.descriptors(id));
        buffers.complete(id);
        return true;
    }

    /** Goes through the used descriptors as {@link #nextUsed} would. */
    @Override
    public int usedWaiting() {
        int waiting = 0;
        final PackedPosition at = used.copy();
        int last = batchId;
        while (waiting < buffers.outstanding()) {
            if (last == NONE) {
                if (!isUsed(ring.flags(at.slot()), at.wrap())) {
                    return waiting;
                }
                last = ring.id(at.slot());
            }
            final int id = buffers.given(last, waiting);
            waiting++;
            if (!buffers.isOut(id)) {
                return waiting;
            }
            at.advance(buffers.descriptors(id));
            last = id == last ? NONE : last;
        }
        return waiting;
    }

    @Override
    public void enableInterrupts() {
        if (eventIdx) {
            ring.writeDriverEvent(PackedBase.half(used.slot(), used.wrap()), RING_EVENT_FLAGS_DESC);
        } else {
            ring.writeDriverEvent(0, RING_EVENT_FLAGS_ENABLE);
        }
        // Pairs with the device's fence between storing flags of used descriptors and loading this.
        VarHandle.fullFence();
    }

    @Override
    public void disableInterrupts() {
        ring.writeDriverEvent(0, RING_EVENT_FLAGS_DISABLE);
    }

    @Override
    public int freeDescriptors() {
        return buffers.freeDescriptors();
    }

    @Override
    public int outstanding() {
        return buffers.outstanding();
    }

    /**
     * Where this driver stands: the next descriptor to make available, the next used one to collect. A device that has
     * used everything, all of it collected, stands at the same base.
     */
    public PackedBase position() {
        return new PackedBase(avail.slot(), avail.wrap(), used.slot(), used.wrap());
    }

    /** The ring's bytes, for tests that look or write beside the rules. */
    public PackedRing ring() {
        return ring;
    }

    @Override
    public PackedLayout layout() {
        return ring.layout();
    }

    /** QEMU has nothing but the value saved last, however old: no index lies in memory. */
    @Override
    public int baseAfterCrash() {
        return base();
    }

    @Override
    void checkBase(final int returned) {
        final PackedBase position = PackedBase.of(returned);
        if (position.availIdx() >= size || position.usedIdx() >= size) {
            throw new AssertionError(
                    "base 0x" + Integer.toHexString(returned) + " points behind the ring: " + position + ", " + this);
        }
    }

    @Override
    void clear() {
        ring.zero();
        buffers.clear();
        avail.rewind();
        used.rewind();
        heldSlot = NONE;
        addedSinceKick = 0;
        batchId = NONE;
    }

    @Override
    public String toString() {
        return "packed ring of " + size + ": " + position() + ", " + outstanding() + " chains out";
    }

    private int add(final List<Descriptor> chain, final long writable) {
        final int count = chain.size();
        requireFree(count);
        final int id = buffers.nextId(avail.slot());
        for (int i = 0; i < count; i++) {
            final Descriptor each = chain.get(i);
            // A device reads the id of the last descriptor; Linux writes it into all.
            write(each.gpa(), each.length(), each.flags() | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0), id);
        }
        buffers.take(id, count, writable);
        return id;
    }

    private void write(final long gpa, final long length, final int flags, final int id) {
        final int all = flags | (avail.wrap() ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
        ring.writeDescriptor(avail.slot(), gpa, length, id);
        if (heldSlot == NONE) {
            heldSlot = avail.slot();
            heldFlags = all;
        } else {
            ring.writeFlags(avail.slot(), all);
        }
        addedSinceKick++;
        avail.advance(1);
    }

    /** Loads and judges the descriptor at the used position, virtio 1.2 §2.8.22. */
    private boolean takeUsedDescriptor() {
        final int flags = ring.flags(used.slot());
        if (!isUsed(flags, used.wrap())) {
            return false;
        }
        final int id = ring.id(used.slot());
        final long length = ring.length(used.slot());
        if (buffers.outstanding() == 0) {
            throw new AssertionError("the device uses more than it was given: " + this);
        }
        if (!buffers.isOut(id)) {
            throw new AssertionError("used descriptor with id " + id + ", which no available chain has: " + this);
        }
        if (length > buffers.writableBytes(id) || length > 0 && (flags & VIRTQ_DESC_F_WRITE) == 0) {
            throw new AssertionError("used length " + length + " with flags 0x" + Integer.toHexString(flags) + " of "
                    + buffers.writableBytes(id) + " writable bytes: " + this);
        }
        batchId = id;
        batchLength = length;
        return true;
    }

    private static boolean isUsed(final int flags, final boolean wrap) {
        final int both = VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
        return (flags & both) == (wrap ? both : 0);
    }
}

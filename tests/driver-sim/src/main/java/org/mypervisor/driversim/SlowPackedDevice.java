package org.mypervisor.driversim;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;

/**
 * The {@link SlowQueue} of a packed virtqueue, virtio 1.2 §2.8. Chains may be used in any order unless
 * VIRTIO_F_IN_ORDER was negotiated; every one gets a used descriptor of its own.
 */
public final class SlowPackedDevice extends SlowQueue {
    private record Out(int id, int slots) {}

    private final GuestMemory memory;
    private final PackedLayout layout;
    private final boolean eventIdx;
    private final List<Out> out = new ArrayList<>();
    private int availIdx;
    private boolean availWrap;
    private int usedIdx;
    private boolean usedWrap;
    private int usedSinceCall;
    private int heldSlot = -1;
    private int heldFlags;
    private boolean neverCalled = true;

    /** @param base as in SET_VRING_BASE, see {@link PackedBase} */
    public SlowPackedDevice(final GuestMemory memory, final PackedLayout layout, final long features, final int base) {
        super(memory, layout.size(), features);
        this.memory = memory;
        this.layout = layout;
        eventIdx = (features >>> 29 & 1) != 0;
        final PackedBase start = PackedBase.of(base);
        availIdx = start.availIdx();
        availWrap = start.availWrap();
        usedIdx = start.usedIdx();
        usedWrap = start.usedWrap();
    }

    @Override
    public int base() {
        return new PackedBase(availIdx, availWrap, usedIdx, usedWrap).encode();
    }

    /** virtio 1.2 §2.8.1: AVAIL as the driver's wrap counter, USED its inverse. */
    @Override
    public boolean hasAvailable() {
        final int flags = memory.le16Acquire(layout.descGpa() + 16L * availIdx + 14);
        return (flags & 0x80) != 0 == availWrap && (flags & 0x8000) != 0 != availWrap;
    }

    /** virtio 1.2 §2.8.6: descriptors follow each other while NEXT is set, and the last one has the id. */
    @Override
    public Taken take() {
        if (!hasAvailable()) {
            return null;
        }
        final List<Descriptor> buffers = new ArrayList<>();
        String fault = null;
        int slots = 0;
        int id;
        boolean more;
        do {
            if (slots == layout.size()) {
                throw new BrokenRing("chain longer than the ring");
            }
            final long at = layout.descGpa() + 16L * ((availIdx + slots) % layout.size());
            final Descriptor here = load(at);
            if (here.has(4)) {
                if (slots > 0) {
                    throw new BrokenRing("indirect inside a list: " + here);
                }
                fault = loadTable(here, buffers);
            } else {
                add(buffers, here);
            }
            id = memory.le16(at + 12);
            more = here.has(1);
            slots++;
        } while (more);
        moveAvail(slots);
        out.add(new Out(id, slots));
        return fault == null ? judge(id, buffers) : new Taken(id, List.of(), List.of(), fault);
    }

    @Override
    public void giveBack(final int count) {
        for (int i = 0; i < count; i++) {
            moveAvail(-out.remove(out.size() - 1).slots());
        }
    }

    /** virtio 1.2 §2.8.6: one used descriptor for the whole chain, then on by as many as it had. */
    @Override
    public void use(final int head, final long written) {
        int which = 0;
        while (out.get(which).id() != head) {
            which++;
        }
        final int slots = out.remove(which).slots();
        final long at = layout.descGpa() + 16L * usedIdx;
        final int flags = (usedWrap ? 0x8080 : 0) | (written > 0 ? 2 : 0);
        memory.putLe32(at + 8, written);
        memory.putLe16(at + 12, head);
        if (heldSlot < 0) {
            heldSlot = usedIdx;
            heldFlags = flags;
        } else {
            memory.putLe16Release(at + 14, flags);
        }
        usedSinceCall += slots;
        usedIdx += slots;
        if (usedIdx >= layout.size()) {
            usedIdx -= layout.size();
            usedWrap = !usedWrap;
        }
    }

    /** First descriptor last, virtio 1.2 §2.8.9; whether a call is due: §2.8.10. */
    @Override
    public boolean publish() {
        if (heldSlot >= 0) {
            memory.putLe16Release(layout.descGpa() + 16L * heldSlot + 14, heldFlags);
            heldSlot = -1;
        }
        // Pairs with the driver's fence between storing its event suppression and looking at the next used descriptor.
        VarHandle.fullFence();
        final int since = usedSinceCall;
        usedSinceCall = 0;
        if (since == 0) {
            return false;
        }
        final int flags = memory.le16Acquire(layout.driverEventGpa() + 2) & 3;
        if (flags != 2 || !eventIdx) {
            return flags != 1;
        }
        final boolean first = neverCalled;
        neverCalled = false;
        final int event = memory.le16Acquire(layout.driverEventGpa());
        int offset = event & 0x7FFF;
        if ((event & 0x8000) != 0 != usedWrap) {
            offset -= layout.size();
        }
        return first || usedIdx - since <= offset && offset < usedIdx;
    }

    @Override
    public void enableKicks() {
        if (eventIdx) {
            memory.putLe16(layout.deviceEventGpa(), availIdx | (availWrap ? 0x8000 : 0));
        }
        memory.putLe16Release(layout.deviceEventGpa() + 2, eventIdx ? 2 : 0);
        // Pairs with the driver's fence between storing flags of descriptors and loading this.
        VarHandle.fullFence();
    }

    @Override
    public void suppressKicks() {
        memory.putLe16Release(layout.deviceEventGpa() + 2, 1);
    }

    /** virtio 1.2 §2.8.7: entries follow each other, and of their flags only WRITE counts. */
    private String loadTable(final Descriptor indirect, final List<Descriptor> buffers) {
        final long entries = tableEntries(indirect);
        if (entries > layout.size()) {
            throw new BrokenRing("table longer than the queue: " + indirect);
        }
        if (!memory.isMapped(indirect.gpa(), indirect.length())) {
            return "table outside memory: " + indirect;
        }
        for (int i = 0; i < entries; i++) {
            final Descriptor entry = load(indirect.gpa() + 16L * i);
            add(buffers, new Descriptor(entry.gpa(), entry.length(), entry.flags() & 2));
        }
        return null;
    }

    private Descriptor load(final long at) {
        return new Descriptor(memory.le64(at), memory.le32(at + 8), memory.le16(at + 14));
    }

    private void moveAvail(final int slots) {
        final int moved = availIdx + slots;
        availIdx = Math.floorMod(moved, layout.size());
        if (moved != availIdx) {
            availWrap = !availWrap;
        }
    }
}

package org.mypervisor.driversim;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;

/** The {@link SlowQueue} of a split virtqueue, virtio 1.2 §2.7. */
public final class SlowDevice extends SlowQueue {
    private record Linked(Descriptor descriptor, int next) {}

    private final GuestMemory memory;
    private final SplitLayout layout;
    private final boolean eventIdx;
    private int availIdx;
    private int usedIdx;
    private int calledIdx;
    private boolean neverCalled = true;

    /** @param base free-running index to begin at, for both rings */
    public SlowDevice(final GuestMemory memory, final SplitLayout layout, final long features, final int base) {
        super(memory, layout.size(), features);
        this.memory = memory;
        this.layout = layout;
        eventIdx = (features >>> 29 & 1) != 0;
        availIdx = base;
        usedIdx = base;
    }

    @Override
    public int base() {
        return availIdx;
    }

    /** Chains waiting. */
    public int available() {
        final int distance = memory.le16Acquire(layout.availGpa() + 2) - availIdx & 0xFFFF;
        if (distance > layout.size()) {
            throw new BrokenRing("avail.idx is " + distance + " ahead in a ring of " + layout.size());
        }
        return distance;
    }

    @Override
    public boolean hasAvailable() {
        return available() > 0;
    }

    @Override
    public Taken take() {
        if (!hasAvailable()) {
            return null;
        }
        final int slot = availIdx % layout.size();
        final int head = memory.le16(layout.availGpa() + 4 + 2L * slot);
        final Taken taken = walk(head);
        availIdx = availIdx + 1 & 0xFFFF;
        return taken;
    }

    @Override
    public void giveBack(final int count) {
        availIdx = availIdx - count & 0xFFFF;
    }

    @Override
    public void use(final int head, final long written) {
        final long element = layout.usedGpa() + 4 + 8L * (usedIdx % layout.size());
        memory.putLe32(element, head);
        memory.putLe32(element + 4, written);
        usedIdx = usedIdx + 1 & 0xFFFF;
    }

    /** Whether a call is due: virtio 1.2 §2.7.7.2. */
    @Override
    public boolean publish() {
        memory.putLe16Release(layout.usedGpa() + 2, usedIdx);
        // Pairs with the driver's fence between storing used_event or avail.flags and loading used.idx.
        VarHandle.fullFence();
        final int old = calledIdx;
        calledIdx = usedIdx;
        if (usedIdx == old) {
            return false;
        }
        if (!eventIdx) {
            return (memory.le16Acquire(layout.availGpa()) & 1) == 0;
        }
        final boolean first = neverCalled;
        neverCalled = false;
        final int event = memory.le16Acquire(layout.availGpa() + 4 + 2L * layout.size());
        return first || (usedIdx - event - 1 & 0xFFFF) < (usedIdx - old & 0xFFFF);
    }

    @Override
    public void enableKicks() {
        memory.putLe16Release(layout.usedGpa(), 0);
        if (eventIdx) {
            memory.putLe16Release(layout.usedGpa() + 4 + 8L * layout.size(), availIdx);
        }
        // Pairs with the driver's fence between storing avail.idx and loading avail_event or used.flags.
        VarHandle.fullFence();
    }

    /** With EVENT_IDX it is enough to leave avail_event behind. */
    @Override
    public void suppressKicks() {
        memory.putLe16Release(layout.usedGpa(), eventIdx ? 0 : 1);
    }

    private Taken walk(final int head) {
        final List<Descriptor> buffers = new ArrayList<>();
        int index = head;
        for (boolean more = true; more; ) {
            final Linked here = load(layout.descGpa(), layout.size(), index);
            if (here.descriptor().has(4)) {
                final String fault = walkTable(here.descriptor(), buffers);
                return fault == null ? judge(head, buffers) : new Taken(head, List.of(), List.of(), fault);
            }
            add(buffers, here.descriptor());
            more = here.descriptor().has(1);
            index = here.next();
        }
        return judge(head, buffers);
    }

    private String walkTable(final Descriptor indirect, final List<Descriptor> buffers) {
        final long entries = tableEntries(indirect);
        if (!memory.isMapped(indirect.gpa(), indirect.length())) {
            return "table outside memory: " + indirect;
        }
        int index = 0;
        for (boolean more = true; more; ) {
            final Linked here = load(indirect.gpa(), entries, index);
            if (here.descriptor().has(4)) {
                throw new BrokenRing("nested " + here);
            }
            add(buffers, here.descriptor());
            more = here.descriptor().has(1);
            index = here.next();
        }
        return null;
    }

    private Linked load(final long table, final long entries, final int index) {
        if (index >= entries) {
            throw new BrokenRing("descriptor " + index + " of " + entries);
        }
        final long at = table + 16L * index;
        return new Linked(
                new Descriptor(memory.le64(at), memory.le32(at + 8), memory.le16(at + 12)), memory.le16(at + 14));
    }
}

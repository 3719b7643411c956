package org.mypervisor.driversim;

import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_NEXT;

import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.List;

/**
 * The driver's side of one split virtqueue, written from virtio 1.2 §2.7. Free descriptors are taken in the order in
 * which they were freed, so a device that completes in order sees them in ring order, as VIRTIO_F_IN_ORDER demands.
 */
public final class SplitDriver extends DriverQueue {
    private static final int VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
    private static final int VIRTQ_USED_F_NO_NOTIFY = 1;

    private final DriverRing ring;
    private final DriverChains chains;
    private final boolean eventIdx;
    private int availIdx;
    private int kickedIdx;
    private int usedIdx;
    private long batchHead = -1;
    private long batchLength;

    /** @param features what was negotiated: EVENT_IDX and IN_ORDER matter here */
    public SplitDriver(final GuestMemoryFile memory, final SplitLayout layout, final long features) {
        super(memory, layout.size(), 0);
        ring = new DriverRing(memory, layout);
        eventIdx = Virtio.has(features, Virtio.VIRTIO_F_EVENT_IDX);
        chains = new DriverChains(layout.size(), Virtio.has(features, Virtio.VIRTIO_F_IN_ORDER));
    }

    /** Plain descriptors followed by an indirect one, unless {@code indirect} is empty; virtio 1.2 §2.7.5.3. */
    @Override
    public int add(final List<Buffer> plain, final List<Buffer> indirect) {
        final List<Descriptor> chain = new ArrayList<>(descriptors(plain));
        if (!indirect.isEmpty()) {
            chain.add(indirect(nextHead(), indirect));
        }
        return add(chain, writableBytes(plain) + writableBytes(indirect));
    }

    @Override
    public int addOne(final long gpa, final int length, final boolean writable) {
        if (chains.free() == 0) {
            return -1;
        }
        final int head = chains.nextFree(0);
        ring.writeDescriptor(head, gpa, length, writable ? Virtio.VIRTQ_DESC_F_WRITE : 0, 0);
        chains.take(1, writable ? length : 0);
        expose(head);
        return head;
    }

    @Override
    public int addRaw(final List<Descriptor> chain) {
        return add(chain, 0);
    }

    @Override
    public void writeTable(final long gpa, final List<Descriptor> entries) {
        for (int i = 0; i < entries.size(); i++) {
            final Descriptor entry = entries.get(i);
            final boolean more = i + 1 < entries.size();
            final int flags = entry.flags() | (more ? VIRTQ_DESC_F_NEXT : 0);
            ring.writeDescriptorAt(gpa + 16L * i, entry.gpa(), entry.length(), flags, more ? i + 1 : 0);
        }
    }

    @Override
    public int nextHead() {
        requireFree(1);
        return chains.nextFree(0);
    }

    /** Release of avail.idx, after everything the chains point to. */
    @Override
    public void publish() {
        ring.writeAvailIdx(availIdx);
    }

    /** virtio 1.2 §2.7.10. */
    @Override
    boolean isKickWanted() {
        // Full fence between our store of avail.idx and the load of what the device wants; pairs with the device's
        // fence between storing avail_event or used.flags and loading avail.idx again.
        VarHandle.fullFence();
        final int since = availIdx - kickedIdx & 0xFFFF;
        kickedIdx = availIdx;
        return eventIdx
                ? (availIdx - ring.availEvent() - 1 & 0xFFFF) < since
                : since > 0 && (ring.usedFlags() & VIRTQ_USED_F_NO_NOTIFY) == 0;
    }

    @Override
    public boolean nextUsed() {
        final int waiting = usedWaiting();
        if (waiting == 0) {
            return false;
        }
        if (waiting > chains.outstanding()) {
            throw new AssertionError("the device uses more than it was given: " + this);
        }
        if (batchHead < 0) {
            batchHead = ring.usedId(usedIdx);
            batchLength = ring.usedLength(usedIdx);
        }
        final int head = chains.complete(batchHead);
        if (head == batchHead) {
            batchHead = -1;
            setUsed(head, batchLength);
        } else {
            setUsed(head, chains.writableBytes(head));
        }
        usedIdx = usedIdx + 1 & 0xFFFF;
        return true;
    }

    @Override
    public int usedWaiting() {
        return ring.usedIdx() - usedIdx & 0xFFFF;
    }

    @Override
    public void enableInterrupts() {
        if (eventIdx) {
            ring.writeUsedEvent(usedIdx);
        } else {
            ring.writeAvailFlags(0);
        }
        // Pairs with the device's fence between storing used.idx and loading used_event or avail.flags.
        VarHandle.fullFence();
    }

    @Override
    public void disableInterrupts() {
        if (eventIdx) {
            // An index just passed comes round again only after 65535 elements.
            ring.writeUsedEvent(usedIdx - 1 & 0xFFFF);
        } else {
            ring.writeAvailFlags(VIRTQ_AVAIL_F_NO_INTERRUPT);
        }
    }

    @Override
    public int freeDescriptors() {
        return chains.free();
    }

    @Override
    public int outstanding() {
        return chains.outstanding();
    }

    /** Free-running index behind the last chain added. */
    public int availIdx() {
        return availIdx;
    }

    /** Free-running index behind the last used element collected. */
    public int usedIdx() {
        return usedIdx;
    }

    /** The ring's bytes, for tests that look or write beside the rules. */
    public DriverRing ring() {
        return ring;
    }

    @Override
    public SplitLayout layout() {
        return ring.layout();
    }

    /** QEMU reads used.idx: what was used is all that is known of the dead back-end. */
    @Override
    public int baseAfterCrash() {
        return ring.usedIdx();
    }

    @Override
    void checkBase(final int returned) {
        if (returned >>> 16 != 0) {
            throw new AssertionError("base 0x" + Integer.toHexString(returned) + " is no 16-bit index, " + this);
        }
    }

    @Override
    void clear() {
        ring.zero();
        chains.clear();
        availIdx = 0;
        kickedIdx = 0;
        usedIdx = 0;
        batchHead = -1;
    }

    /** Takes the next {@code count} free descriptors as a chain, without writing them; the first is its head. */
    public int[] take(final int count) {
        requireFree(count);
        final int[] taken = new int[count];
        for (int i = 0; i < count; i++) {
            taken[i] = chains.nextFree(i);
        }
        chains.take(count, 0);
        return taken;
    }

    /** Puts a value into the next avail ring slot, right or wrong. */
    public void expose(final int head) {
        ring.writeAvailEntry(availIdx, head);
        availIdx = availIdx + 1 & 0xFFFF;
    }

    @Override
    public String toString() {
        return "ring of " + ring.layout().size() + ": avail.idx " + availIdx + ", used.idx " + usedIdx + " (device "
                + ring.usedIdx() + "), " + outstanding() + " chains out";
    }

    private int add(final List<Descriptor> chain, final long writable) {
        final int count = chain.size();
        requireFree(count);
        final int head = chains.nextFree(0);
        for (int i = 0; i < count; i++) {
            final Descriptor each = chain.get(i);
            final boolean more = i + 1 < count;
            final int flags = each.flags() | (more ? VIRTQ_DESC_F_NEXT : 0);
            ring.writeDescriptor(
                    chains.nextFree(i), each.gpa(), each.length(), flags, more ? chains.nextFree(i + 1) : 0);
        }
        chains.take(count, writable);
        expose(head);
        return head;
    }
}

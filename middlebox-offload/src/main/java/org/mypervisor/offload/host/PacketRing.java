package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.RingFault;

/**
 * The frames that arrive at an interface, in the memory that a packet socket shares with us: the receive ring of version 2,
 * {@code PACKET_RX_RING}. Each slot is the kernel's or ours, as its status says.
 *
 * <p>Slots hold frames up to the MTU. Longer ones, which wait to be segmented, are received one by one from the socket into few
 * buffers that stay in the cache; in slots of that size each frame would come to other memory, and small ones to other pages.
 *
 * @see <a href="https://docs.kernel.org/networking/packet_mmap.html">the kernel's documentation</a>
 */
final class PacketRing extends BufferQueue {
    /** struct tpacket2_hdr. */
    private static final int STATUS_OFFSET = 0;

    private static final int LENGTH_OFFSET = 4;
    private static final int SNAPSHOT_LENGTH_OFFSET = 8;
    private static final int MAC_OFFSET = 12;
    private static final int VLAN_TCI_OFFSET = 24;
    private static final int VLAN_TPID_OFFSET = 26;

    private static final int TP_STATUS_KERNEL = 0;
    private static final int TP_STATUS_USER = 1;
    /** The slot has the head of the frame only; all of it is next in the socket's queue. */
    private static final int TP_STATUS_COPY = 2;

    private static final int TP_STATUS_VLAN_VALID = 0x10;
    private static final int TP_STATUS_VLAN_TPID_VALID = 0x40;

    private static final int ETHER_TYPE_8021Q = 0x8100;
    private static final int MAC_ADDRESSES_LENGTH = 12;
    private static final int TAG_LENGTH = 4;

    /** Of the virtio-net header that the kernel writes in front of the frame. */
    private static final int HDR_LEN_OFFSET = 2;

    private static final int CSUM_START_OFFSET = 6;
    private static final int FLAGS_OFFSET = 0;
    private static final int NEEDS_CSUM = 1;

    /** Long frames of one turn: as many as TCP sends at a time; more buffers would be other memory again (decision 0008). */
    private static final int MAX_COPIES = 16;

    private static final int COPY_HEADROOM = 16;
    private static final int COPY_SIZE = COPY_HEADROOM + GatherQueue.MAX_BYTES;

    private final int socket;
    private final long[] slots;
    /** Where the frame of a slot is instead, and its bytes with header; else 0. */
    private final long[] copyAddress;

    private final int[] copyLength;
    private final long copies = RawMemory.allocate(MAX_COPIES * COPY_SIZE);
    private int copiesUsed;
    private final BufferList list = new BufferList(1);
    private int ready;
    private int next;
    private int cursor;
    private int completed;
    /** Frames that came when neither the slot nor the socket had room for all of them. */
    private volatile long missed;

    private long missedTaken;

    /**
     * @param socket nonblocking, with {@code PACKET_COPY_THRESH}
     * @param slots address of each
     */
    PacketRing(final int socket, final long[] slots, final long features) {
        super(slots.length, features);
        this.socket = socket;
        this.slots = slots;
        this.copyAddress = new long[slots.length];
        this.copyLength = new int[slots.length];
    }

    /** Loads each status once, in order, until one is the kernel's. */
    @Override
    public int available(final int most) {
        if (ready == 0 && completed == 0) {
            skipCutShort();
        }
        while (fault() == null && ready < most && isReady(slot(next + ready))) {
            ready++;
        }
        return fault() == null ? Math.min(ready, most) : 0;
    }

    /** Whether there is a whole frame for this slot; the load pairs with the kernel's write of the status, its last. */
    private boolean isReady(final int index) {
        final long status = RawMemory.le32Acquire(slots[index] + STATUS_OFFSET);
        if ((status & TP_STATUS_USER) == 0) {
            return false;
        }
        return (status & TP_STATUS_COPY) == 0 ? !isCutShort(index) : receive(index, status);
    }

    /** Whether the slot has the head of its frame only, because the socket had no room for all of it. */
    private boolean isCutShort(final int index) {
        final long slot = slots[index];
        return RawMemory.le32(slot + SNAPSHOT_LENGTH_OFFSET) < RawMemory.le32(slot + LENGTH_OFFSET);
    }

    /** Gives the slots back whose frames are lost. Between turns: those before them have to be given back first. */
    private void skipCutShort() {
        while ((RawMemory.le32Acquire(slots[next] + STATUS_OFFSET) & (TP_STATUS_USER | TP_STATUS_COPY))
                        == TP_STATUS_USER
                && isCutShort(next)) {
            RawMemory.putLe32Release(slots[next] + STATUS_OFFSET, TP_STATUS_KERNEL);
            next = slot(next + 1);
            missed++;
        }
    }

    /** False when there is no buffer: then the frame waits for those that are taken now. Or when the ring broke. */
    private boolean receive(final int index, final long status) {
        if (copiesUsed == MAX_COPIES) {
            return false;
        }
        final long address = copies + (long) copiesUsed * COPY_SIZE + COPY_HEADROOM;
        final long slot = slots[index];
        long length = LIBC.read(socket, address, GatherQueue.MAX_BYTES);
        if (length < 0) {
            // That the interface was down meanwhile is said once, and takes no frame.
            length = LIBC.read(socket, address, GatherQueue.MAX_BYTES);
        }
        if (length != Math.min(RawMemory.le32(slot + LENGTH_OFFSET) + netHdrSize(), GatherQueue.MAX_BYTES)) {
            // Another slot's frame, or none: from here on each slot would get that of another.
            breakRing(RingFault.OUT_OF_STEP);
            return false;
        }
        RawMemory.putLe32(slot + STATUS_OFFSET, status & ~(TP_STATUS_COPY | TP_STATUS_VLAN_VALID));
        final boolean tagged = (status & TP_STATUS_VLAN_VALID) != 0;
        if (tagged) {
            putTagBack(address, slot, status);
        }
        copyAddress[index] = tagged ? address - TAG_LENGTH : address;
        copyLength[index] = (int) length + (tagged ? TAG_LENGTH : 0);
        copiesUsed++;
        return true;
    }

    private int slot(final int index) {
        return index < slots.length ? index : index - slots.length;
    }

    @Override
    public BufferList newChain() {
        cursor = 0;
        list.clear();
        return list;
    }

    @Override
    public int append() {
        if (cursor >= available(cursor + 1)) {
            return NONE;
        }
        final int index = slot(next + cursor);
        cursor++;
        if (copyAddress[index] != 0) {
            list.addPiece(copyAddress[index], copyLength[index]);
            return index;
        }
        final long slot = slots[index];
        final long status = RawMemory.le32(slot + STATUS_OFFSET);
        if ((status & TP_STATUS_VLAN_VALID) != 0) {
            putTagBackInSlot(slot, status);
        }
        final int length = (int) RawMemory.le32(slot + SNAPSHOT_LENGTH_OFFSET);
        list.addPiece(slot + RawMemory.le16(slot + MAC_OFFSET) - netHdrSize(), length + netHdrSize());
        return index;
    }

    /** The slot then says that the frame has no tag beside it. */
    private void putTagBackInSlot(final long slot, final long status) {
        final int mac = RawMemory.le16(slot + MAC_OFFSET);
        putTagBack(slot + mac - netHdrSize(), slot, status);
        RawMemory.putLe16(slot + MAC_OFFSET, mac - TAG_LENGTH);
        RawMemory.putLe32(slot + LENGTH_OFFSET, RawMemory.le32(slot + LENGTH_OFFSET) + TAG_LENGTH);
        RawMemory.putLe32(slot + SNAPSHOT_LENGTH_OFFSET, RawMemory.le32(slot + SNAPSHOT_LENGTH_OFFSET) + TAG_LENGTH);
        RawMemory.putLe32(slot + STATUS_OFFSET, status & ~TP_STATUS_VLAN_VALID);
    }

    /**
     * The kernel takes a frame's outer tag out. Puts it back, for which header and addresses move to the front.
     *
     * @param from the frame's virtio-net header; there is room for a tag in front of it
     */
    private void putTagBack(final long from, final long slot, final long status) {
        final int tci = RawMemory.le16(slot + VLAN_TCI_OFFSET);
        final int tpid =
                (status & TP_STATUS_VLAN_TPID_VALID) != 0 ? RawMemory.le16(slot + VLAN_TPID_OFFSET) : ETHER_TYPE_8021Q;
        final int moved = netHdrSize() + MAC_ADDRESSES_LENGTH;
        final long header = from - TAG_LENGTH;
        for (int i = 0; i < moved; i++) {
            RawMemory.putU8(header + i, RawMemory.u8(from + i));
        }
        RawMemory.putLe16(header + moved, Short.reverseBytes((short) tpid) & 0xFFFF);
        RawMemory.putLe16(header + moved + 2, Short.reverseBytes((short) tci) & 0xFFFF);
        if ((RawMemory.u8(header + FLAGS_OFFSET) & NEEDS_CSUM) != 0) {
            RawMemory.putLe16(header + CSUM_START_OFFSET, RawMemory.le16(header + CSUM_START_OFFSET) + TAG_LENGTH);
        }
        if (RawMemory.le16(header + HDR_LEN_OFFSET) != 0) {
            RawMemory.putLe16(header + HDR_LEN_OFFSET, RawMemory.le16(header + HDR_LEN_OFFSET) + TAG_LENGTH);
        }
    }

    @Override
    public void complete(final int token, final int bytesWritten) {
        copyAddress[token] = 0;
        next = slot(next + 1);
        ready--;
        completed++;
    }

    /** Gives the slots back, which may be read until now. Pairs with the kernel's load of the status. */
    @Override
    public void publish() {
        while (completed > 0) {
            final int index = next - completed;
            RawMemory.putLe32Release(slots[index < 0 ? index + slots.length : index] + STATUS_OFFSET, TP_STATUS_KERNEL);
            completed--;
        }
        if (ready == 0) {
            copiesUsed = 0;
        }
    }

    @Override
    public boolean enableKicks() {
        return available(1) != 0;
    }

    /** Frames for which there was a slot but no more room, since the last call. One thread, whichever. */
    long takeMissed() {
        final long now = missed;
        final long since = now - missedTaken;
        missedTaken = now;
        return since;
    }

    /** Nobody uses it any more. */
    void free() {
        RawMemory.free(copies, MAX_COPIES * COPY_SIZE);
    }
}

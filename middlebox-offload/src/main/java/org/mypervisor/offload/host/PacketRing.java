package org.mypervisor.offload.host;

import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.MemoryProbe;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.RingFault;

/**
 * The frames that arrive at an interface, in the memory that a packet socket shares with us: the receive ring of version 2,
 * {@code PACKET_RX_RING}. Each slot is the kernel's or ours, as its status says.
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

    private final long[] slots;
    private final BufferList list = new List();
    private int ready;
    private int next;
    private int cursor;
    private int completed;

    private static final class List extends BufferList {
        List() {
            super(1);
        }
    }

    /** @param slots address of each */
    PacketRing(final long[] slots, final long features) {
        super(slots.length, features);
        this.slots = slots;
    }

    /** Loads each status once, in order, until one is the kernel's. */
    @Override
    public int available(final int most) {
        while (ready < most && isOurs(slots[slot(next + ready)])) {
            ready++;
        }
        return Math.min(ready, most);
    }

    private int slot(final int index) {
        return index < slots.length ? index : index - slots.length;
    }

    /** Pairs with the kernel's write of the status, which comes after all else. */
    private static boolean isOurs(final long slot) {
        return (RawMemory.le32Acquire(slot + STATUS_OFFSET) & TP_STATUS_USER) != 0;
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
        final long slot = slots[index];
        cursor++;
        if ((RawMemory.le32(slot + STATUS_OFFSET) & TP_STATUS_VLAN_VALID) != 0) {
            putTagBack(slot);
        }
        final int length = (int) RawMemory.le32(slot + SNAPSHOT_LENGTH_OFFSET);
        if (length < (int) RawMemory.le32(slot + LENGTH_OFFSET)) {
            return malformed(RingFault.CHAIN_TOO_LONG, index);
        }
        list.addPiece(slot + RawMemory.le16(slot + MAC_OFFSET) - netHdrSize(), length + netHdrSize());
        return index;
    }

    /** The kernel takes a frame's outer tag out. There is room in front; the slot then says that it has none beside. */
    private void putTagBack(final long slot) {
        final long status = RawMemory.le32(slot + STATUS_OFFSET);
        final int tci = RawMemory.le16(slot + VLAN_TCI_OFFSET);
        final int tpid =
                (status & TP_STATUS_VLAN_TPID_VALID) != 0 ? RawMemory.le16(slot + VLAN_TPID_OFFSET) : ETHER_TYPE_8021Q;
        final int mac = RawMemory.le16(slot + MAC_OFFSET);
        final long from = slot + mac - netHdrSize();
        final int moved = netHdrSize() + MAC_ADDRESSES_LENGTH;
        for (int i = 0; i < moved; i++) {
            RawMemory.putU8(from - TAG_LENGTH + i, RawMemory.u8(from + i));
        }
        final long tag = from - TAG_LENGTH + moved;
        RawMemory.putLe16(tag, Short.reverseBytes((short) tpid) & 0xFFFF);
        RawMemory.putLe16(tag + 2, Short.reverseBytes((short) tci) & 0xFFFF);
        final long header = from - TAG_LENGTH;
        if ((RawMemory.u8(header + FLAGS_OFFSET) & NEEDS_CSUM) != 0) {
            RawMemory.putLe16(header + CSUM_START_OFFSET, RawMemory.le16(header + CSUM_START_OFFSET) + TAG_LENGTH);
        }
        if (RawMemory.le16(header + HDR_LEN_OFFSET) != 0) {
            RawMemory.putLe16(header + HDR_LEN_OFFSET, RawMemory.le16(header + HDR_LEN_OFFSET) + TAG_LENGTH);
        }
        RawMemory.putLe16(slot + MAC_OFFSET, mac - TAG_LENGTH);
        RawMemory.putLe32(slot + LENGTH_OFFSET, RawMemory.le32(slot + LENGTH_OFFSET) + TAG_LENGTH);
        RawMemory.putLe32(slot + SNAPSHOT_LENGTH_OFFSET, RawMemory.le32(slot + SNAPSHOT_LENGTH_OFFSET) + TAG_LENGTH);
        RawMemory.putLe32(slot + STATUS_OFFSET, status & ~TP_STATUS_VLAN_VALID);
    }

    @Override
    public void complete(final int token, final int bytesWritten) {
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
    }

    @Override
    public void suppressKicks() {}

    @Override
    public boolean enableKicks() {
        return available(1) != 0;
    }

    @Override
    public boolean isWhole(final MemoryProbe probe) {
        return true;
    }
}

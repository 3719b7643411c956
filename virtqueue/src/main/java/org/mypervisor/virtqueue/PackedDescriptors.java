package org.mypervisor.virtqueue;

import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_INDIRECT;
import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_NEXT;

/**
 * Follows the chains of a packed ring, and indirect tables, virtio 1.2 §2.8.5 and §2.8.7.
 *
 * <p>Every descriptor is loaded once. A chain with a bad buffer is followed to its end all the same, because its id is
 * there. Owned by the worker thread of its queue. Nothing here allocates or throws.
 */
final class PackedDescriptors {
    private final GuestMemory memory;
    private final long desc;
    private final int size;
    private final boolean indirectAllowed;
    private int id;
    private int count;

    /** The last indirect table, for {@link #isWhole}. */
    private long tableAddress = GuestMemory.UNMAPPED;

    private long tableLength;

    /**
     * @param desc host address of the ring
     * @param size its descriptors
     * @param indirectAllowed whether VIRTIO_F_INDIRECT_DESC was negotiated
     */
    PackedDescriptors(final GuestMemory memory, final long desc, final int size, final boolean indirectAllowed) {
        this.memory = memory;
        this.desc = desc;
        this.size = size;
        this.indirectAllowed = indirectAllowed;
    }

    /** The buffer id of the chain last walked. */
    int id() {
        return id;
    }

    /** Descriptors of the ring that the chain last walked takes. */
    int count() {
        return count;
    }

    /**
     * Adds the buffers of the available chain that starts at a slot.
     *
     * @param firstWord len, id and flags of its first descriptor, as loaded when it was found available
     * @param most descriptors of the ring that it can take, above 0
     * @return null, or what is wrong; then the list is as it was before
     */
    RingFault append(final DescriptorChain chain, final int first, final long firstWord, final int most) {
        final int pieces = chain.pieces();
        final int limit = Math.min(most, DescriptorChain.MAX_DESCRIPTORS);
        RingFault fault = null;
        int slot = first;
        long word = firstWord;
        for (count = 1; ; count++) {
            final int flags = PackedDesc.flags(word);
            if ((flags & VIRTQ_DESC_F_INDIRECT) != 0) {
                // virtio 1.2 §2.8.19: an indirect descriptor is a chain of its own.
                if (count != 1 || (flags & VIRTQ_DESC_F_NEXT) != 0) {
                    fault = RingFault.BAD_INDIRECT;
                    break;
                }
                fault = walkTable(chain, PackedDesc.addr(address(slot)), PackedDesc.len(word));
            } else if (fault == null) {
                fault = chain.add(PackedDesc.addr(address(slot)), PackedDesc.len(word), flags);
            }
            if ((flags & VIRTQ_DESC_F_NEXT) == 0) {
                id = PackedDesc.id(word);
                break;
            }
            if (count == limit) {
                fault = RingFault.CHAIN_LOOP;
                break;
            }
            slot = slot + 1 == size ? 0 : slot + 1;
            word = PackedDesc.lenIdFlags(address(slot));
        }
        if (fault != null) {
            chain.rollback(pieces);
        }
        return fault;
    }

    private long address(final int slot) {
        return desc + (long) slot * PackedDesc.SIZE;
    }

    /** virtio 1.2 §2.8.7: all descriptors of the table, in order. Of their flags all but WRITE are ignored. */
    private RingFault walkTable(final DescriptorChain chain, final long gpa, final long length) {
        final long entries = length / PackedDesc.SIZE;
        if (!indirectAllowed || entries == 0 || length % PackedDesc.SIZE != 0 || entries > chain.capacity()) {
            return RingFault.BAD_INDIRECT;
        }
        tableAddress = memory.translate(gpa, length);
        tableLength = length;
        for (long offset = 0; offset < length; offset += PackedDesc.SIZE) {
            // A table that crosses from one region into the next is legal and rare: its entries are translated singly.
            final long entry = tableAddress != GuestMemory.UNMAPPED
                    ? tableAddress + offset
                    : memory.translate(gpa + offset, PackedDesc.SIZE);
            if (entry == GuestMemory.UNMAPPED) {
                return RingFault.BUFFER_UNMAPPED;
            }
            final long word = PackedDesc.lenIdFlags(entry);
            final RingFault fault = chain.add(PackedDesc.addr(entry), PackedDesc.len(word), PackedDesc.flags(word));
            if (fault != null) {
                return fault;
            }
        }
        return null;
    }

    /** Whether every page of the last indirect table can be read. */
    boolean isWhole(final MemoryProbe probe) {
        return tableAddress == GuestMemory.UNMAPPED || probe.isReadable(tableAddress, tableLength);
    }
}

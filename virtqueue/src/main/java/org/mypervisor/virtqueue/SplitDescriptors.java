package org.mypervisor.virtqueue;

import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_INDIRECT;
import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_NEXT;

/**
 * Follows the chains of a split ring's descriptor table, and of indirect tables, virtio 1.2 §2.7.5.
 *
 * <p>Every descriptor is loaded once. Owned by the worker thread of its queue. Nothing here allocates or throws.
 */
final class SplitDescriptors {
    /** Stands for "the ring's own table" where an indirect table has its guest-physical address. */
    private static final long RING_TABLE = -1;

    private final GuestMemory memory;
    private final boolean indirectAllowed;

    /** The last indirect table, for {@link #isWhole}. */
    private long tableAddress = GuestMemory.UNMAPPED;

    private long tableLength;

    /** @param indirectAllowed whether VIRTIO_F_INDIRECT_DESC was negotiated */
    SplitDescriptors(final GuestMemory memory, final boolean indirectAllowed) {
        this.memory = memory;
        this.indirectAllowed = indirectAllowed;
    }

    /**
     * Adds the buffers of the chain that starts at {@code head}.
     *
     * @param desc host address of the ring's table
     * @param size its descriptors
     * @return null, or what is wrong; then the list is as it was before
     */
    RingFault append(final DescriptorChain chain, final long desc, final int size, final int head) {
        final int pieces = chain.pieces();
        final RingFault fault = walk(chain, desc, RING_TABLE, size, head);
        if (fault != null) {
            chain.rollback(pieces);
        }
        return fault;
    }

    /**
     * @param table host address of the descriptor table, or UNMAPPED when descriptors must be translated one by one
     * @param tableGpa guest-physical address of an indirect table, {@link #RING_TABLE} for the ring's own
     */
    private RingFault walk(
            final DescriptorChain chain, final long table, final long tableGpa, final int tableSize, final int first) {
        int slot = first;
        final int limit = Math.min(tableSize, DescriptorChain.MAX_DESCRIPTORS);
        for (int seen = 0; seen < limit; seen++) {
            // Unsigned: a load from a page that is gone leaves anything in its register, even a negative le16.
            if (Integer.compareUnsigned(slot, tableSize) >= 0) {
                return RingFault.INDEX_OUT_OF_RANGE;
            }
            final long address = table != GuestMemory.UNMAPPED
                    ? table + (long) slot * VirtqDesc.SIZE
                    : memory.translate(tableGpa + (long) slot * VirtqDesc.SIZE, VirtqDesc.SIZE);
            if (address == GuestMemory.UNMAPPED) {
                return RingFault.BUFFER_UNMAPPED;
            }
            final long gpa = VirtqDesc.addr(address);
            final long word = VirtqDesc.lenFlagsNext(address);
            final int flags = VirtqDesc.flags(word);
            if ((flags & VIRTQ_DESC_F_INDIRECT) != 0) {
                return tableGpa != RING_TABLE
                        ? RingFault.BAD_INDIRECT
                        : walkIndirect(chain, gpa, VirtqDesc.len(word), flags);
            }
            final RingFault bufferFault = chain.add(gpa, VirtqDesc.len(word), flags);
            if (bufferFault != null) {
                return bufferFault;
            }
            if ((flags & VIRTQ_DESC_F_NEXT) == 0) {
                return null;
            }
            slot = VirtqDesc.next(word);
        }
        return RingFault.CHAIN_LOOP;
    }

    /** virtio 1.2 §2.7.5.3: no nesting, no NEXT beside INDIRECT, whole descriptors only; WRITE is ignored. */
    private RingFault walkIndirect(final DescriptorChain chain, final long gpa, final long length, final int flags) {
        final long count = length / VirtqDesc.SIZE;
        if (!indirectAllowed
                || (flags & VIRTQ_DESC_F_NEXT) != 0
                || count == 0
                || length % VirtqDesc.SIZE != 0
                || count > chain.capacity()) {
            return RingFault.BAD_INDIRECT;
        }
        tableAddress = memory.translate(gpa, length);
        tableLength = length;
        // A table that crosses from one region into the next is legal and rare: its descriptors are translated singly.
        return walk(chain, tableAddress, gpa, (int) count, 0);
    }

    /** Whether every page of the last indirect table can be read. */
    boolean isWhole(final MemoryProbe probe) {
        return tableAddress == GuestMemory.UNMAPPED || probe.isReadable(tableAddress, tableLength);
    }
}

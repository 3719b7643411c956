package org.mypervisor.driversim;

import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_INDIRECT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_NEXT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_WRITE;

/**
 * Everything a driver can put into a virtqueue to hurt a device, one entry each, with what a device must make of
 * it. {@link HostileDriver} injects them. The dividing line: wrong contents of a chain (ranges, directions, sizes) cost
 * the chain; wrong structure (indices, links, indirect flags and table lengths) costs the ring.
 */
public enum HostileRing {
    HEAD_BEYOND_SIZE(Outcome.BAD_RING, Needs.SPLIT, h -> h.exposeOnly(h.size())),
    HEAD_HIGHEST(Outcome.BAD_RING, Needs.SPLIT, h -> h.exposeOnly(0xFFFF)),
    NEXT_BEYOND_SIZE(Outcome.BAD_RING, Needs.SPLIT, h -> {
        final int[] d = h.take(1);
        h.put(d[0], h.goodGpa(), 12, VIRTQ_DESC_F_NEXT, h.size());
        h.expose(d);
    }),
    LOOP_TO_ITSELF(Outcome.BAD_RING, Needs.SPLIT, h -> {
        final int[] d = h.take(1);
        h.put(d[0], h.goodGpa(), 12, VIRTQ_DESC_F_NEXT, d[0]);
        h.expose(d);
    }),
    LOOP_OF_TWO(Outcome.BAD_RING, Needs.SPLIT, h -> {
        final int[] d = h.take(2);
        h.put(d[0], h.goodGpa(), 12, VIRTQ_DESC_F_NEXT, d[1]);
        h.put(d[1], h.goodGpa() + 12, 60, VIRTQ_DESC_F_NEXT, d[0]);
        h.expose(d);
    }),
    /** A loop that never adds a byte. */
    LOOP_OF_EMPTY_BUFFERS(Outcome.BAD_RING, Needs.SPLIT, h -> {
        final int[] d = h.take(2);
        h.put(d[0], h.goodGpa(), 0, VIRTQ_DESC_F_NEXT, d[1]);
        h.put(d[1], h.goodGpa(), 0, VIRTQ_DESC_F_NEXT, d[0]);
        h.expose(d);
    }),
    /** One more than can be there. */
    AVAIL_IDX_JUMP(Outcome.BAD_RING, Needs.SPLIT, h -> h.jump(h.size() + 1)),
    AVAIL_IDX_BACKWARDS(Outcome.BAD_RING, Needs.SPLIT, h -> h.jump(-1)),

    NESTED_INDIRECT(Outcome.BAD_RING, Needs.SPLIT_INDIRECT, h -> {
        h.put(h.table(), 0, h.goodGpa(), 12, VIRTQ_DESC_F_NEXT, 1);
        h.put(h.table(), 1, h.table() + 64, 16, VIRTQ_DESC_F_INDIRECT, 0);
        h.put(h.table() + 64, 0, h.goodGpa(), 60, 0, 0);
        h.indirect(32, 0);
    }),
    INDIRECT_LENGTH_ZERO(Outcome.BAD_RING, Needs.INDIRECT, h -> h.goodTable(0, 0)),
    INDIRECT_LENGTH_ODD(Outcome.BAD_RING, Needs.INDIRECT, h -> h.goodTable(40, 0)),
    INDIRECT_WITH_NEXT(Outcome.BAD_RING, Needs.INDIRECT, h -> h.goodTable(32, VIRTQ_DESC_F_NEXT)),
    /** A table of more entries than any queue here has. */
    INDIRECT_TOO_LONG(Outcome.BAD_RING, Needs.INDIRECT, h -> {
        final int entries = HostileDriver.TABLE_ENTRIES;
        h.table(h.goods(entries, h.goodGpa(), 1));
        h.indirect(16L * entries, 0);
    }),
    INDIRECT_NEXT_BEYOND_TABLE(Outcome.BAD_RING, Needs.SPLIT_INDIRECT, h -> {
        h.put(h.table(), 0, h.goodGpa(), 12, VIRTQ_DESC_F_NEXT, 2);
        h.put(h.table(), 1, h.goodGpa(), 60, 0, 0);
        h.indirect(32, 0);
    }),
    INDIRECT_LOOP(Outcome.BAD_RING, Needs.SPLIT_INDIRECT, h -> {
        h.put(h.table(), 0, h.goodGpa(), 12, VIRTQ_DESC_F_NEXT, 1);
        h.put(h.table(), 1, h.goodGpa(), 60, VIRTQ_DESC_F_NEXT, 0);
        h.indirect(32, 0);
    }),
    INDIRECT_NOT_NEGOTIATED(Outcome.BAD_RING, Needs.NO_INDIRECT, h -> h.goodTable(32, 0)),
    INDIRECT_TABLE_UNMAPPED(
            Outcome.BAD_CHAIN, Needs.INDIRECT, h -> h.chain(new Descriptor(h.holeGpa(), 32, VIRTQ_DESC_F_INDIRECT))),
    /** A table as the last part of a chain, which only a split ring may have. */
    INDIRECT_BEHIND_NEXT(Outcome.BAD_RING, Needs.PACKED_INDIRECT, h -> {
        h.table(h.good(h.goodGpa(), 60));
        h.chain(h.good(h.goodGpa(), 12), new Descriptor(h.table(), 16, VIRTQ_DESC_F_INDIRECT));
    }),
    /** NEXT in every descriptor of the ring, the last one included. */
    NEXT_NEVER_ENDS(Outcome.BAD_RING, Needs.PACKED, h -> {
        final Descriptor[] all = h.goods(h.size(), h.goodGpa(), 1);
        all[h.size() - 1] = new Descriptor(h.goodGpa(), 1, h.direction() | VIRTQ_DESC_F_NEXT);
        h.chain(all);
    }),
    /** As {@link #NEXT_NEVER_ENDS}, and never adds a byte. */
    NEXT_NEVER_ENDS_AND_EMPTY(Outcome.BAD_RING, Needs.PACKED, h -> {
        final Descriptor[] all = h.goods(h.size(), h.goodGpa(), 0);
        all[h.size() - 1] = new Descriptor(h.goodGpa(), 0, h.direction() | VIRTQ_DESC_F_NEXT);
        h.chain(all);
    }),
    /** Plain descriptors and a table that only together exceed the queue: the device may judge either way. */
    CHAIN_LONGER_THAN_QUEUE(Outcome.REFUSED, Needs.SPLIT_INDIRECT, h -> {
        final int[] d = h.take(h.size() / 2);
        for (int i = 0; i < d.length - 1; i++) {
            h.put(d[i], h.goodGpa(), 1, VIRTQ_DESC_F_NEXT, d[i + 1]);
        }
        final int entries = HostileDriver.TABLE_ENTRIES;
        for (int i = 0; i < entries; i++) {
            h.put(h.table(), i, h.goodGpa(), 1, i + 1 < entries ? VIRTQ_DESC_F_NEXT : 0, i + 1);
        }
        h.put(d[d.length - 1], h.table(), 16L * entries, VIRTQ_DESC_F_INDIRECT, 0);
        h.expose(d);
    }),

    RANGE_IN_HOLE(Outcome.BAD_CHAIN, h -> h.packetEndingWith(h.holeGpa(), 60)),
    /** Begins in a region and ends behind it. */
    RANGE_INTO_HOLE(Outcome.BAD_CHAIN, h -> h.packetEndingWith(h.holeGpa() - 32, 60)),
    RANGE_ONE_BYTE_TOO_LONG(Outcome.BAD_CHAIN, h -> h.packetEndingWith(h.holeGpa() - 60, 61)),
    HEADER_IN_HOLE(Outcome.BAD_CHAIN, h -> h.packetStartingWith(h.holeGpa(), 12)),
    ADDRESS_OVERFLOW(Outcome.BAD_CHAIN, h -> h.packetEndingWith(-16, 60)),
    LENGTH_HIGHEST(Outcome.BAD_CHAIN, h -> h.packetEndingWith(h.goodGpa(), 0xFFFF_FFFFL)),
    ZERO_LENGTH_BAD_ADDRESS(Outcome.BAD_CHAIN, h -> h.packetStartingWith(h.holeGpa() + 4096, 0)),
    WRONG_DIRECTION(
            Outcome.BAD_CHAIN, h -> h.chain(new Descriptor(h.goodGpa(), 72, h.direction() ^ VIRTQ_DESC_F_WRITE))),
    WRITABLE_BEFORE_READABLE(
            Outcome.BAD_CHAIN,
            h -> h.chain(new Descriptor(h.goodGpa(), 72, VIRTQ_DESC_F_WRITE), new Descriptor(h.goodGpa(), 72, 0))),
    /** More than 2^32 bytes, all of them mapped: virtio 1.2 §2.7.5.2 forbids it. */
    TOTAL_BEYOND_4G(Outcome.BAD_CHAIN, h -> {
        final Region all = h.largestRegion();
        h.chain(h.goods((int) (0x1_0000_0000L / all.size()) + 2, all.gpa(), all.size()));
    }),
    CHAIN_OF_NOTHING(Outcome.BAD_CHAIN, h -> h.single(0)),
    HEADER_SHORT(Outcome.BAD_CHAIN, h -> h.single(h.headerSize() - 1)),
    /** A header without a frame. As a receive buffer it would be legal if mergeable. */
    HEADER_ONLY(Outcome.BAD_CHAIN, Needs.TRANSMITQ, h -> h.single(h.headerSize()));

    /** What a device must make of an entry. */
    public enum Outcome {
        /** The chain comes back with length 0, nothing is delivered, the ring goes on. */
        BAD_CHAIN,
        /** The ring is given up: the err eventfd is signalled once and nothing is used until it is started again. */
        BAD_RING,
        /** Either of the two. */
        REFUSED
    }

    /** What an entry needs to make sense. */
    enum Needs {
        NOTHING,
        INDIRECT,
        NO_INDIRECT,
        SPLIT,
        SPLIT_INDIRECT,
        PACKED,
        PACKED_INDIRECT,
        TRANSMITQ
    }

    /** Writes the entry's descriptors and exposes them, without publishing. */
    interface Writer {
        void write(HostileDriver driver);
    }

    private final Outcome outcome;
    private final Needs needs;
    private final Writer writer;

    HostileRing(final Outcome outcome, final Writer writer) {
        this(outcome, Needs.NOTHING, writer);
    }

    HostileRing(final Outcome outcome, final Needs needs, final Writer writer) {
        this.outcome = outcome;
        this.needs = needs;
        this.writer = writer;
    }

    public Outcome outcome() {
        return outcome;
    }

    /** Whether the entry can be injected with these features into a receiveq or a transmitq. */
    public boolean applies(final long features, final boolean receiveq) {
        final boolean indirect = Virtio.has(features, Virtio.VIRTIO_F_INDIRECT_DESC);
        final boolean packed = Virtio.has(features, Virtio.VIRTIO_F_RING_PACKED);
        return switch (needs) {
            case NOTHING -> true;
            case INDIRECT -> indirect;
            case NO_INDIRECT -> !indirect;
            case SPLIT -> !packed;
            case SPLIT_INDIRECT -> !packed && indirect;
            case PACKED -> packed;
            case PACKED_INDIRECT -> packed && indirect;
            case TRANSMITQ -> !receiveq;
        };
    }

    void write(final HostileDriver driver) {
        writer.write(driver);
    }
}

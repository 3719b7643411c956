package org.mypervisor.driversim;

import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_AVAIL;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_INDIRECT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_NEXT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_USED;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_WRITE;

import java.util.ArrayList;
import java.util.List;

/**
 * Unusual but legal ways to transmit a frame, beside those of {@link Framing}: a device must deliver every one of them.
 * The ones over a region boundary need memory with two adjacent regions.
 */
public enum LegalOddity {
    /** One buffer that begins in a region and ends in the next. */
    BUFFER_ACROSS_REGIONS {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final long gpa = boundary(net) - net.headerSize() - frame.length / 2;
            net.transmitAt(gpa, new byte[net.headerSize()], frame, Framing.ONE_BUFFER);
        }
    },
    /** The header itself lies in two regions. */
    HEADER_ACROSS_REGIONS {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            net.transmitAt(boundary(net) - 3, new byte[net.headerSize()], frame, Framing.ONE_BUFFER);
        }
    },
    /** An indirect table whose second descriptor is in the next region. Needs VIRTIO_F_INDIRECT_DESC. */
    TABLE_ACROSS_REGIONS {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final long table = boundary(net) - 16;
            final long gpa = place(net, frame);
            net.transmitq()
                    .writeTable(
                            table,
                            List.of(
                                    new Descriptor(gpa, net.headerSize(), 0),
                                    new Descriptor(gpa + net.headerSize(), frame.length, 0)));
            expose(net, new Descriptor(table, 32, VIRTQ_DESC_F_INDIRECT));
        }
    },
    /** WRITE beside INDIRECT, which a device must ignore. Needs VIRTIO_F_INDIRECT_DESC. */
    WRITE_BESIDE_INDIRECT {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final long table = oneEntryTable(net, frame, 0);
            expose(net, new Descriptor(table, 16, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE));
        }
    },
    /**
     * A next that points to a lower index, and garbage in the next field of the last descriptor. Split rings
     * only, and not with VIRTIO_F_IN_ORDER.
     */
    LINKED_BACKWARDS {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final long gpa = place(net, frame);
            final long middle = gpa + net.headerSize() + frame.length / 2;
            final SplitDriver ring = net.splitTransmitq();
            final int[] d = ring.take(3);
            ring.ring().writeDescriptor(d[0], gpa, middle - gpa, VIRTQ_DESC_F_NEXT, d[2]);
            ring.ring().writeDescriptor(d[2], middle, 1, VIRTQ_DESC_F_NEXT, d[1]);
            ring.ring().writeDescriptor(d[1], middle + 1, frame.length - frame.length / 2 - 1, 0, 0xFFFF);
            ring.expose(d[0]);
            ring.publishAndKick();
        }
    },
    /**
     * In a table, flags beside WRITE, which a device must ignore (virtio 1.2 §2.8.7). Needs VIRTIO_F_INDIRECT_DESC,
     * packed rings only.
     */
    FLAGS_IN_TABLE {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final int flags = VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED;
            expose(net, new Descriptor(oneEntryTable(net, frame, flags), 16, VIRTQ_DESC_F_INDIRECT));
        }
    },
    /** Buffer ids that mean nothing in all descriptors but the last, virtio 1.2 §2.8.6. Packed rings only. */
    IDS_INSIDE_CHAIN {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final PackedDriver ring = (PackedDriver) net.transmitq();
            final int size = ring.layout().size();
            final int slot = ring.position().availIdx();
            ring.addRaw(cut(place(net, frame), net.headerSize() + frame.length, 3));
            ring.ring().writeId(slot, 0xFFFF);
            ring.ring().writeId((slot + 1) % size, size);
            ring.publishAndKick();
        }
    },
    /**
     * A chain over the end of the descriptor ring, so that its descriptors differ in their wrap counter; if the ring
     * just stands at its start, all of it. Waits first for all that was transmitted. Packed rings only.
     */
    CHAIN_OVER_RING_END {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            net.awaitTransmitted();
            final PackedDriver ring = (PackedDriver) net.transmitq();
            final int size = ring.layout().size();
            final int slot = ring.position().availIdx();
            final int count = Math.min(size, size - slot + 2);
            expose(net, cut(place(net, frame), net.headerSize() + frame.length, count));
        }
    };

    /** Transmits the frame this way and kicks if asked. */
    public abstract void transmit(NetDriver net, byte[] frame);

    public boolean needsIndirect() {
        return this == TABLE_ACROSS_REGIONS || this == WRITE_BESIDE_INDIRECT || this == FLAGS_IN_TABLE;
    }

    /** Whether a driver that negotiated these features may do this. */
    public boolean isLegalWith(final long features) {
        final boolean packed = Virtio.has(features, Virtio.VIRTIO_F_RING_PACKED);
        final boolean rightRing =
                switch (this) {
                    case LINKED_BACKWARDS -> !packed && !Virtio.has(features, Virtio.VIRTIO_F_IN_ORDER);
                    case FLAGS_IN_TABLE, IDS_INSIDE_CHAIN, CHAIN_OVER_RING_END -> packed;
                    default -> true;
                };
        return rightRing && (!needsIndirect() || Virtio.has(features, Virtio.VIRTIO_F_INDIRECT_DESC));
    }

    /** Whether the memory must have two adjacent regions, with 64 KiB before and behind their boundary unused. */
    public boolean needsAdjacentRegions() {
        return this == BUFFER_ACROSS_REGIONS || this == HEADER_ACROSS_REGIONS || this == TABLE_ACROSS_REGIONS;
    }

    private static long boundary(final NetDriver net) {
        final List<Region> regions = net.memory().table();
        return regions.stream()
                .filter(region -> regions.stream().anyMatch(other -> other.gpa() == region.endGpa()))
                .mapToLong(Region::endGpa)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("no adjacent regions in " + regions));
    }

    private static long place(final NetDriver net, final byte[] frame) {
        final long gpa = net.transmitBufferGpa(net.transmitq().nextHead());
        net.memory().fill(gpa, net.headerSize(), 0);
        net.memory().write(gpa + net.headerSize(), frame);
        return gpa;
    }

    /** A table of the whole packet in one descriptor; returns its gpa. */
    private static long oneEntryTable(final NetDriver net, final byte[] frame, final int flags) {
        final Descriptor packet = new Descriptor(place(net, frame), (long) net.headerSize() + frame.length, flags);
        final long table = net.transmitq().tableGpa(net.transmitq().nextHead(), 1);
        net.transmitq().writeTable(table, List.of(packet));
        return table;
    }

    /** Buffers of one byte, as long as there are any, and the rest in the last; behind the end they are empty. */
    private static List<Descriptor> cut(final long gpa, final int total, final int count) {
        final List<Descriptor> chain = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            final int at = Math.min(i, total);
            chain.add(new Descriptor(gpa + at, i + 1 < count ? Math.min(1, total - at) : total - at, 0));
        }
        return chain;
    }

    private static void expose(final NetDriver net, final Descriptor descriptor) {
        expose(net, List.of(descriptor));
    }

    private static void expose(final NetDriver net, final List<Descriptor> chain) {
        net.transmitq().addRaw(chain);
        net.transmitq().publishAndKick();
    }
}

package org.mypervisor.driversim;

import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_INDIRECT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_NEXT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_WRITE;

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
            final DriverRing ring = net.transmitq().ring();
            ring.writeDescriptorAt(table, gpa, net.headerSize(), VIRTQ_DESC_F_NEXT, 1);
            ring.writeDescriptorAt(table + 16, gpa + net.headerSize(), frame.length, 0, 0);
            expose(net, table, 32, VIRTQ_DESC_F_INDIRECT);
        }
    },
    /** WRITE beside INDIRECT, which a device must ignore. Needs VIRTIO_F_INDIRECT_DESC. */
    WRITE_BESIDE_INDIRECT {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final long gpa = place(net, frame);
            final long table = net.transmitq()
                    .ring()
                    .writeTable(
                            net.transmitq().nextHead(),
                            List.of(Buffer.readable(gpa, (long) net.headerSize() + frame.length)));
            expose(net, table, 16, VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_WRITE);
        }
    },
    /**
     * A next that points to a lower index, and garbage in the next field of the last descriptor. Not with
     * VIRTIO_F_IN_ORDER.
     */
    LINKED_BACKWARDS {
        @Override
        public void transmit(final NetDriver net, final byte[] frame) {
            final long gpa = place(net, frame);
            final long middle = gpa + net.headerSize() + frame.length / 2;
            final SplitDriver ring = net.transmitq();
            final int[] d = ring.take(3);
            ring.ring().writeDescriptor(d[0], gpa, middle - gpa, VIRTQ_DESC_F_NEXT, d[2]);
            ring.ring().writeDescriptor(d[2], middle, 1, VIRTQ_DESC_F_NEXT, d[1]);
            ring.ring().writeDescriptor(d[1], middle + 1, frame.length - frame.length / 2 - 1, 0, 0xFFFF);
            ring.expose(d[0]);
            ring.publishAndKick();
        }
    };

    /** Transmits the frame this way and kicks if asked. */
    public abstract void transmit(NetDriver net, byte[] frame);

    public boolean needsIndirect() {
        return this == TABLE_ACROSS_REGIONS || this == WRITE_BESIDE_INDIRECT;
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

    private static void expose(final NetDriver net, final long gpa, final long length, final int flags) {
        final int head = net.transmitq().take(1)[0];
        net.transmitq().ring().writeDescriptor(head, gpa, length, flags, 0);
        net.transmitq().expose(head);
        net.transmitq().publishAndKick();
    }
}

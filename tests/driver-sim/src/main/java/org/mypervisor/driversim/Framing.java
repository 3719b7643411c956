package org.mypervisor.driversim;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** How a driver cuts a packet, header first, into the buffers of one chain. All of them are legal in virtio 1.2. */
public enum Framing {
    /** Header and frame in one buffer. */
    ONE_BUFFER,
    /** Header in a buffer of its own, frame in the next: the only legacy form. */
    HEADER_APART,
    /** Header over four buffers, the last of which also holds the first bytes of the frame. */
    HEADER_SPLIT,
    /** One byte per buffer; when the queue is too short for that, the last buffer holds the rest. */
    ONE_BYTE_PER_BUFFER,
    /** As many buffers as the queue has entries, of equal length but for the last. */
    LONGEST_CHAIN,
    /** Buffers of length 0 with valid addresses between the others, and one at the end. */
    ZERO_LENGTH_INSIDE,
    /** Everything in an indirect table: header, frame. */
    INDIRECT,
    /** Header in a plain descriptor, followed by an indirect one with the frame in two parts. Split rings only. */
    PLAIN_THEN_INDIRECT;

    /** Whether VIRTIO_F_INDIRECT_DESC must have been negotiated. */
    public boolean needsIndirect() {
        return this == INDIRECT || this == PLAIN_THEN_INDIRECT;
    }

    /** Whether a driver that negotiated these features may use it. */
    public boolean isLegalWith(final long features) {
        return (!needsIndirect() || Virtio.has(features, Virtio.VIRTIO_F_INDIRECT_DESC))
                && (this != PLAIN_THEN_INDIRECT || !Virtio.has(features, Virtio.VIRTIO_F_RING_PACKED));
    }

    /**
     * Cuts contiguous memory into buffers.
     *
     * @param total bytes of header and frame
     * @param queueSize no chain gets longer than this
     */
    public List<Buffer> cut(
            final long gpa, final int headerSize, final int total, final int queueSize, final boolean writable) {
        final List<Buffer> buffers = new ArrayList<>();
        long at = gpa;
        for (final int length : lengths(headerSize, total, queueSize)) {
            buffers.add(new Buffer(at, length, writable));
            at += length;
        }
        return buffers;
    }

    /** Makes the cut memory available on a ring; returns the head. */
    int add(final DriverQueue ring, final List<Buffer> buffers) {
        return switch (this) {
            case INDIRECT -> ring.addIndirect(buffers);
            case PLAIN_THEN_INDIRECT -> ring.add(buffers.subList(0, 1), buffers.subList(1, buffers.size()));
            default -> ring.add(buffers);
        };
    }

    /** Descriptors of the ring itself, apart from those in tables, that a chain of this many buffers takes. */
    int ringDescriptors(final int buffers) {
        return switch (this) {
            case INDIRECT -> 1;
            case PLAIN_THEN_INDIRECT -> 2;
            default -> buffers;
        };
    }

    private int[] lengths(final int headerSize, final int total, final int queueSize) {
        final int frame = total - headerSize;
        return switch (this) {
            case ONE_BUFFER -> new int[] {total};
            case HEADER_APART, INDIRECT -> new int[] {headerSize, frame};
            case HEADER_SPLIT -> {
                final int shared = Math.min(5, frame);
                yield new int[] {1, 4, 2, headerSize - 7 + shared, frame - shared};
            }
            case ONE_BYTE_PER_BUFFER -> equal(total, Math.min(total, queueSize), 1);
            case LONGEST_CHAIN -> equal(total, queueSize, total / queueSize);
            case ZERO_LENGTH_INSIDE -> new int[] {headerSize, 0, frame / 2, 0, frame - frame / 2, 0};
            case PLAIN_THEN_INDIRECT -> new int[] {headerSize, frame / 2, frame - frame / 2};
        };
    }

    private static int[] equal(final int total, final int count, final int each) {
        final int[] lengths = new int[count];
        Arrays.fill(lengths, each);
        lengths[count - 1] = total - each * (count - 1);
        return lengths;
    }
}

package org.mypervisor.fuzz;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.ArrayList;
import java.util.List;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.Region;
import org.mypervisor.driversim.SlowDevice;
import org.mypervisor.driversim.SplitLayout;
import org.mypervisor.virtqueue.DescriptorChain;
import org.mypervisor.virtqueue.GuestMemory;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.VirtioFeatures;
import org.mypervisor.virtqueue.Virtqueue;
import org.mypervisor.virtqueue.VringLayout;

/**
 * Whatever a driver writes into descriptor table, available ring and indirect tables: the walk ends, no piece leaves
 * guest memory, and a chain is accepted or refused as the reference device does, virtio 1.2 §2.7.
 */
class ChainFuzzTest {
    /** The last region ends where the address space does; the second begins where the first ends. */
    private static final long[] GPAS_AND_SIZES = {0, 0x2000, 0x2000, 0x1000, 0x10000, 0x3000, -0x1000, 0x1000};

    private static final long INDIRECT_TABLE = 0x10000;
    private static final int[] SIZES = {1, 2, 4, 8, 16, 32, 64, 256};
    private static final int NEXT = 1;
    private static final int INDIRECT = 4;
    private static final int MOST_CHAINS = 64;
    private static final int LEAST_ROOM_FOR_PIECES = 256;
    private static final byte[] ZEROS = new byte[0x3000];

    /** Made on first use: classes that are loaded before the fuzzer is ready are not guided by coverage. */
    private static final class Guest {
        static final GuestMemoryFile MEMORY = GuestMemoryFile.ofGpas(GPAS_AND_SIZES);
        static final List<GuestMemory.Region> REGIONS = new ArrayList<>();
        static final GuestMemory HOST;

        static {
            for (final Region region : MEMORY.table()) {
                REGIONS.add(new GuestMemory.Region(
                        region.gpa(),
                        region.uva(),
                        region.size(),
                        GuardedPages.map(region.size(), MEMORY.fd(), region.mmapOffset())));
            }
            HOST = new GuestMemory(REGIONS);
        }

        static void clear() {
            REGIONS.forEach(region -> MEMORY.write(region.gpa(), ZEROS, 0, (int) region.size()));
        }
    }

    /** A range of guest memory within one region. */
    private record Piece(long gpa, long length) {}

    /** @param pieces null when refused; @param clear whether the text leaves no doubt about it */
    private record Verdict(List<Piece> pieces, boolean clear, String why) {}

    private boolean writable;
    private long features;
    private SplitLayout layout;
    private Virtqueue queue;
    private SlowDevice reference;
    /** Chains that were available before, without those taken since. */
    private int seen;

    @FuzzTest(maxDuration = "8s")
    void everyWalkEndsWithinGuestMemory(final FuzzedDataProvider data) {
        Guest.clear();
        writable = data.consumeBoolean();
        features = feature(data, VirtioFeatures.VIRTIO_F_INDIRECT_DESC)
                | feature(data, VirtioFeatures.VIRTIO_F_EVENT_IDX)
                | VirtioFeatures.bit(VirtioFeatures.VIRTIO_F_VERSION_1);
        final FuzzedRing ring = new FuzzedRing(data, Guest.MEMORY);
        final int size = SIZES[data.consumeInt(0, SIZES.length - 1)];
        final boolean usual = data.consumeInt(0, 15) != 0;
        layout = usual
                ? new SplitLayout(size, 0, 0x1000, 0x1400)
                : new SplitLayout(size, ring.gpa(), ring.gpa(), ring.gpa());
        final int base = data.consumeBoolean() ? 0xFFFE : 0;
        if (Guest.MEMORY.isMapped(layout.usedGpa(), 4)) {
            Guest.MEMORY.write(layout.usedGpa() + 2, new byte[] {(byte) base, (byte) (base >> 8)});
        }
        ring.write(layout, INDIRECT_TABLE, writable, base);
        queue = start();
        if (queue == null) {
            return;
        }
        reference = new SlowDevice(Guest.MEMORY, layout, features, queue.base());
        seen = 0;
        for (int i = 0; i < MOST_CHAINS && takeNext(); i++) {
            // Everything happens in the call.
        }
        queue.enableKicks();
        queue.isCallNeeded();
    }

    private static long feature(final FuzzedDataProvider data, final int number) {
        return data.consumeBoolean() ? VirtioFeatures.bit(number) : 0;
    }

    /** Null when the ring is refused, which must be right. */
    private Virtqueue start() {
        final boolean eventIdx = VirtioFeatures.has(features, VirtioFeatures.VIRTIO_F_EVENT_IDX);
        final int event = eventIdx ? 2 : 0;
        final boolean valid = isRingPart(layout.descGpa(), 16L * layout.size(), 16)
                && isRingPart(layout.availGpa(), 4 + 2L * layout.size() + event, 2)
                && isRingPart(layout.usedGpa(), 4 + 8L * layout.size() + event, 4);
        try {
            final Virtqueue started = Virtqueue.of(
                    Guest.HOST,
                    new VringLayout(
                            layout.size(),
                            uva(layout.descGpa()),
                            uva(layout.availGpa()),
                            uva(layout.usedGpa()),
                            writable,
                            features,
                            0,
                            false));
            assertTrue(valid, () -> "started at " + layout);
            return started;
        } catch (final IllegalArgumentException e) {
            assertTrue(!valid, () -> "refused: " + e.getMessage());
            return null;
        }
    }

    private static boolean isRingPart(final long gpa, final long length, final int alignment) {
        return gpa % alignment == 0 && Guest.MEMORY.table().stream().anyMatch(region -> region.contains(gpa, length));
    }

    private static long uva(final long gpa) {
        return Guest.MEMORY.isMapped(gpa, 1) ? Guest.MEMORY.uvaOf(gpa) : gpa;
    }

    /** Takes one chain with both devices; false when there is none or the ring broke. */
    private boolean takeNext() {
        queue.enableKicks();
        final int available = queue.available(layout.size());
        final int expected;
        try {
            expected = reference.available();
        } catch (final SlowDevice.BrokenRing e) {
            assertEquals(RingFault.AVAIL_IDX_JUMP, queue.fault(), e::getMessage);
            return false;
        }
        if (expected < seen) {
            // The reference forgets what it saw; virtio 1.2 §2.7.6.1: an index that goes back is a driver's fault.
            assertEquals(RingFault.AVAIL_IDX_JUMP, queue.fault());
            return false;
        }
        assertEquals(expected, available);
        if (available == 0) {
            return false;
        }
        seen = available - 1;
        final Verdict verdict = judge();
        final DescriptorChain chain = queue.newChain();
        final RingFault fault = queue.append() ? null : queue.appendFault();
        compare(verdict, chain, fault);
        assertEquals(fault != null && fault.breaksRing() ? fault : null, queue.fault());
        if (queue.fault() != null) {
            assertEquals(0, queue.available(layout.size()));
            return false;
        }
        complete();
        return true;
    }

    /** What the reference device makes of the next chain. */
    private Verdict judge() {
        try {
            final SlowDevice.Taken taken = reference.take();
            if (taken.fault() != null) {
                // Ours looks at the part of an indirect table that it needs, descriptor by descriptor.
                return new Verdict(null, !taken.fault().startsWith("table outside memory"), taken.fault());
            }
            final boolean wrongWay = !(writable ? taken.readable() : taken.writable()).isEmpty();
            return wrongWay
                    ? new Verdict(null, true, "wrong direction")
                    : new Verdict(
                            pieces(writable ? taken.writable() : taken.readable()),
                            !cutsDescriptor(taken.head()),
                            null);
        } catch (final SlowDevice.BrokenRing e) {
            // Drivers do build indirect tables longer than a short queue, and ours takes them.
            return new Verdict(null, !e.getMessage().startsWith("chain longer than the queue"), e.getMessage());
        } catch (final IndexOutOfBoundsException e) {
            return new Verdict(null, true, "half a descriptor in one region, half in another");
        }
    }

    /** Whether a chain that the reference accepts has an indirect table with a descriptor half in the next region. */
    private boolean cutsDescriptor(final int head) {
        long desc = layout.descGpa() + 16L * head;
        while ((Guest.MEMORY.le16(desc + 12) & INDIRECT) == 0) {
            if ((Guest.MEMORY.le16(desc + 12) & NEXT) == 0) {
                return false;
            }
            desc = layout.descGpa() + 16L * Guest.MEMORY.le16(desc + 14);
        }
        final long table = Guest.MEMORY.le64(desc);
        final long length = Guest.MEMORY.le32(desc + 8);
        return table % 16 != 0 && Guest.MEMORY.table().stream().noneMatch(region -> region.contains(table, length));
    }

    private static List<Piece> pieces(final List<Buffer> buffers) {
        final List<Piece> pieces = new ArrayList<>();
        for (final Buffer buffer : buffers) {
            long gpa = buffer.gpa();
            for (long left = buffer.length(); left > 0; ) {
                final long here = Math.min(left, toEndOfRegion(gpa));
                pieces.add(new Piece(gpa, here));
                gpa += here;
                left -= here;
            }
        }
        return pieces;
    }

    private static long toEndOfRegion(final long gpa) {
        for (final Region region : Guest.MEMORY.table()) {
            if (region.contains(gpa, 1)) {
                return region.endGpa() - gpa;
            }
        }
        throw new AssertionError("the reference accepted gpa 0x" + Long.toHexString(gpa));
    }

    private void compare(final Verdict verdict, final DescriptorChain chain, final RingFault fault) {
        final int room = Math.max(LEAST_ROOM_FOR_PIECES, layout.size());
        final List<Piece> pieces = new ArrayList<>();
        long bytes = 0;
        for (int i = 0; i < chain.pieces(); i++) {
            assertTrue(chain.pieceLength(i) > 0);
            pieces.add(new Piece(gpaOf(chain.pieceAddress(i), chain.pieceLength(i)), chain.pieceLength(i)));
            bytes += chain.pieceLength(i);
        }
        assertEquals(bytes, chain.bytes());
        assertTrue(pieces.size() <= room);
        if (fault != null) {
            assertEquals(List.of(), pieces, () -> "left behind by " + fault);
            final boolean ours = fault == RingFault.CHAIN_TOO_LONG || !verdict.clear();
            assertTrue(verdict.pieces() == null || ours, () -> "refused as " + fault + ": " + verdict.pieces());
        } else if (verdict.pieces() != null) {
            assertEquals(verdict.pieces(), pieces);
        } else if (verdict.clear()) {
            fail("accepted " + pieces + ", the reference said: " + verdict.why());
        }
    }

    private static long gpaOf(final long host, final long length) {
        for (final GuestMemory.Region region : Guest.REGIONS) {
            final long offset = host - region.host();
            if (Long.compareUnsigned(offset, region.size()) < 0 && length <= region.size() - offset) {
                return region.gpa() + offset;
            }
        }
        throw new AssertionError("a piece of " + length + " bytes lies outside guest memory");
    }

    /** Gives the chain back and looks at what the driver gets to see. */
    private void complete() {
        final int slot = queue.base() & layout.size() - 1;
        final int head = Guest.MEMORY.le16(layout.availGpa() + 4 + 2L * slot);
        queue.complete(0, false);
        queue.publish();
        final long element = layout.usedGpa() + 4 + 8L * slot;
        assertEquals(head, Guest.MEMORY.le32(element));
        assertEquals(queue.base(), Guest.MEMORY.le16(layout.usedGpa() + 2));
        if (reference.base() != queue.base()) {
            // It stopped at a chain that ours takes.
            reference = new SlowDevice(Guest.MEMORY, layout, features, queue.base());
        }
    }
}

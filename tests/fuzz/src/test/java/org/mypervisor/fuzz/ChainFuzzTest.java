package org.mypervisor.fuzz;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.ArrayList;
import java.util.List;
import org.mypervisor.driversim.PackedLayout;
import org.mypervisor.driversim.RingLayout;
import org.mypervisor.driversim.SlowDevice;
import org.mypervisor.driversim.SlowQueue;
import org.mypervisor.driversim.SplitLayout;
import org.mypervisor.virtqueue.BufferBurst;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.VirtioFeatures;
import org.mypervisor.virtqueue.Virtqueue;
import org.mypervisor.virtqueue.VringLayout;

/**
 * Whatever a driver writes into descriptor table or ring, available ring and indirect tables: the walk ends, no piece
 * leaves guest memory, and a chain is accepted or refused as the reference device does, virtio 1.2 §2.7 and §2.8.
 */
class ChainFuzzTest {
    private static final long INDIRECT_TABLE = 0x10000;
    private static final int[] SIZES = {1, 2, 4, 8, 16, 32, 64, 256};
    private static final int[] PACKED_SIZES = {1, 2, 3, 5, 7, 8, 33, 100};
    private static final int NEXT = 1;
    private static final int INDIRECT = 4;
    private static final int MOST_CHAINS = 64;
    private static final int LEAST_ROOM_FOR_PIECES = 256;

    /**
     * @param pieces null when refused
     * @param clear whether the text leaves no doubt about it
     * @param head as the reference took it, or below 0 when it did not come so far
     */
    private record Verdict(List<FuzzedGuest.Piece> pieces, boolean clear, String why, int head) {}

    private boolean writable;
    private long features;
    private RingLayout layout;
    /** For SET_VRING_BASE of a packed ring. */
    private int base;

    private boolean baseIsOurs;
    private Virtqueue queue;
    private SlowQueue reference;
    /** Chains that were available before, without those taken since. */
    private int seen;

    @FuzzTest(maxDuration = "8s")
    void everyWalkEndsWithinGuestMemory(final FuzzedDataProvider data) {
        FuzzedGuest.clear();
        final boolean packed = data.consumeBoolean();
        writable = data.consumeBoolean();
        features = feature(data, VirtioFeatures.VIRTIO_F_INDIRECT_DESC)
                | feature(data, VirtioFeatures.VIRTIO_F_EVENT_IDX)
                | VirtioFeatures.bit(VirtioFeatures.VIRTIO_F_VERSION_1);
        final FuzzedRing ring = new FuzzedRing(data, FuzzedGuest.MEMORY);
        if (packed) {
            features |= VirtioFeatures.bit(VirtioFeatures.VIRTIO_F_RING_PACKED);
            writePacked(data, ring);
        } else {
            writeSplit(data, ring);
        }
        queue = start();
        if (queue == null) {
            return;
        }
        reference = reference();
        seen = 0;
        for (int i = 0; i < MOST_CHAINS && takeNext(); i++) {
            // Everything happens in the call.
        }
        queue.enableKicks();
        queue.isCallNeeded();
    }

    private void writeSplit(final FuzzedDataProvider data, final FuzzedRing ring) {
        final int size = SIZES[data.consumeInt(0, SIZES.length - 1)];
        final boolean usual = data.consumeInt(0, 15) != 0;
        final SplitLayout split = usual
                ? new SplitLayout(size, 0, 0x1000, 0x1400)
                : new SplitLayout(size, ring.gpa(), ring.gpa(), ring.gpa());
        layout = split;
        final int index = data.consumeBoolean() ? 0xFFFE : 0;
        if (FuzzedGuest.MEMORY.isMapped(layout.usedGpa(), 4)) {
            FuzzedGuest.MEMORY.write(layout.usedGpa() + 2, new byte[] {(byte) index, (byte) (index >> 8)});
        }
        ring.write(split, INDIRECT_TABLE, writable, index);
    }

    private void writePacked(final FuzzedDataProvider data, final FuzzedRing ring) {
        final int size = PACKED_SIZES[data.consumeInt(0, PACKED_SIZES.length - 1)];
        final boolean usual = data.consumeInt(0, 15) != 0;
        final PackedLayout packed = usual
                ? new PackedLayout(size, 0, 0x1000, 0x1400)
                : new PackedLayout(size, ring.gpa(), ring.gpa(), ring.gpa());
        layout = packed;
        final boolean wrap = data.consumeBoolean();
        final int half = (data.consumeInt(0, 7) == 0 ? data.consumeInt(0, size) : 0) | (wrap ? 0x8000 : 0);
        base = half << 16 | half;
        // To look for a lost index takes a while.
        baseIsOurs = data.consumeInt(0, 63) != 0;
        ring.write(packed, INDIRECT_TABLE, writable, wrap);
    }

    private boolean isPacked() {
        return layout instanceof PackedLayout;
    }

    private SlowQueue reference() {
        return SlowQueue.of(FuzzedGuest.MEMORY, layout, features, queue.base());
    }

    private static long feature(final FuzzedDataProvider data, final int number) {
        return data.consumeBoolean() ? VirtioFeatures.bit(number) : 0;
    }

    /** Null when the ring is refused, which must be right. */
    private Virtqueue start() {
        final boolean eventIdx = VirtioFeatures.has(features, VirtioFeatures.VIRTIO_F_EVENT_IDX);
        final int event = eventIdx ? 2 : 0;
        final boolean valid = FuzzedGuest.isRingPart(layout.descGpa(), 16L * layout.size(), 16)
                && (isPacked()
                        ? FuzzedGuest.isRingPart(layout.availGpa(), 4, 4)
                                && FuzzedGuest.isRingPart(layout.usedGpa(), 4, 4)
                        : FuzzedGuest.isRingPart(layout.availGpa(), 4 + 2L * layout.size() + event, 2)
                                && FuzzedGuest.isRingPart(layout.usedGpa(), 4 + 8L * layout.size() + event, 4));
        final boolean lost = isPacked() && (!baseIsOurs || (base & 0x7FFF) >= layout.size());
        try {
            final Virtqueue started = Virtqueue.of(
                    FuzzedGuest.HOST,
                    new VringLayout(
                            layout.size(),
                            FuzzedGuest.uva(layout.descGpa()),
                            FuzzedGuest.uva(layout.availGpa()),
                            FuzzedGuest.uva(layout.usedGpa()),
                            writable,
                            features,
                            base,
                            baseIsOurs));
            assertTrue(valid, () -> "started at " + layout);
            return started;
        } catch (final IllegalArgumentException e) {
            assertTrue(!valid || lost, () -> "refused: " + e.getMessage());
            return null;
        }
    }

    /** Takes one chain with both devices; false when there is none or the ring broke. */
    private boolean takeNext() {
        queue.enableKicks();
        if (isPacked()) {
            assertEquals(reference.hasAvailable(), queue.available(1) != 0);
            return reference.hasAvailable() && takeAvailable();
        }
        final int available = queue.available(layout.size());
        final int expected;
        try {
            expected = ((SlowDevice) reference).available();
        } catch (final SlowQueue.BrokenRing e) {
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
        return takeAvailable();
    }

    private boolean takeAvailable() {
        final Verdict verdict = judge();
        final boolean usual = queue.look(BufferBurst.MOST) != 0;
        final BufferList chain = queue.newChain();
        final int good = queue.append();
        final RingFault fault = good >= 0 ? null : queue.appendFault();
        final int token = good >= 0 ? good : queue.malformedToken();
        compare(verdict, chain, fault);
        if (usual) {
            compareBurst(chain, fault);
        }
        assertEquals(fault != null && fault.breaksRing() ? fault : null, queue.fault());
        if (queue.fault() != null) {
            assertEquals(0, queue.available(layout.size()));
            return false;
        }
        if (isPacked()) {
            completePacked(token, verdict.head(), usual);
        } else {
            complete(token, usual);
        }
        if ((reference.base() & 0xFFFF) != (queue.base() & 0xFFFF)) {
            // It stopped at a chain that ours takes.
            reference = reference();
        }
        return true;
    }

    /** What the reference device makes of the next chain. */
    private Verdict judge() {
        try {
            final int slot = reference.base() & 0x7FFF;
            final SlowQueue.Taken taken = reference.take();
            final int first = isPacked() ? slot : taken.head();
            if (taken.fault() != null) {
                // Ours looks at the part of an indirect table that it needs, descriptor by descriptor.
                return new Verdict(
                        null, !taken.fault().startsWith("table outside memory"), taken.fault(), taken.head());
            }
            final boolean wrongWay = !(writable ? taken.readable() : taken.writable()).isEmpty();
            return wrongWay
                    ? new Verdict(null, true, "wrong direction", taken.head())
                    : new Verdict(
                            FuzzedGuest.pieces(writable ? taken.writable() : taken.readable()),
                            !cutsDescriptor(first),
                            null,
                            taken.head());
        } catch (final SlowQueue.BrokenRing e) {
            // Drivers do build indirect tables longer than a short queue, and ours takes them.
            return new Verdict(null, !e.getMessage().contains("longer than the queue"), e.getMessage(), -1);
        } catch (final IndexOutOfBoundsException e) {
            return new Verdict(null, true, "half a descriptor in one region, half in another", -1);
        }
    }

    /** Whether a chain that the reference accepts has an indirect table with a descriptor half in the next region. */
    private boolean cutsDescriptor(final int head) {
        long desc = layout.descGpa() + 16L * head;
        if (isPacked()) {
            return (FuzzedGuest.MEMORY.le16(desc + 14) & INDIRECT) != 0 && FuzzedGuest.isTableCut(desc);
        }
        while ((FuzzedGuest.MEMORY.le16(desc + 12) & INDIRECT) == 0) {
            if ((FuzzedGuest.MEMORY.le16(desc + 12) & NEXT) == 0) {
                return false;
            }
            desc = layout.descGpa() + 16L * FuzzedGuest.MEMORY.le16(desc + 14);
        }
        return FuzzedGuest.isTableCut(desc);
    }

    private void compare(final Verdict verdict, final BufferList chain, final RingFault fault) {
        final int room = Math.max(LEAST_ROOM_FOR_PIECES, layout.size());
        final List<FuzzedGuest.Piece> pieces = new ArrayList<>();
        long bytes = 0;
        for (int i = 0; i < chain.pieces(); i++) {
            assertTrue(chain.pieceLength(i) > 0);
            pieces.add(new FuzzedGuest.Piece(
                    FuzzedGuest.gpaOf(chain.pieceAddress(i), chain.pieceLength(i)), chain.pieceLength(i)));
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

    /** What the look at many chains noted of the first is what the walk finds. */
    private void compareBurst(final BufferList chain, final RingFault fault) {
        assertNull(fault);
        assertEquals(1, chain.pieces());
        assertEquals(chain.pieceAddress(0), queue.burst().address(0));
        assertEquals(chain.pieceLength(0), queue.burst().length(0));
    }

    private void give(final int token, final boolean usual) {
        if (usual) {
            queue.completeBurst(1);
        } else {
            queue.complete(token, 0);
        }
        queue.publish();
    }

    /** Gives the chain back and looks at what the driver gets to see. */
    private void complete(final int token, final boolean usual) {
        final int slot = queue.base() & layout.size() - 1;
        final int head = FuzzedGuest.MEMORY.le16(layout.availGpa() + 4 + 2L * slot);
        give(token, usual);
        final long element = layout.usedGpa() + 4 + 8L * slot;
        assertEquals(head, FuzzedGuest.MEMORY.le32(element));
        assertEquals(queue.base(), FuzzedGuest.MEMORY.le16(layout.usedGpa() + 2));
    }

    /** @param id of the buffer, or below 0: the reference does not know it */
    private void completePacked(final int token, final int id, final boolean usual) {
        final int slot = queue.base() & 0x7FFF;
        final int flags = (queue.base() & 0x8000) != 0 ? 0x8080 : 0;
        give(token, usual);
        final long used = layout.descGpa() + 16L * slot;
        assertEquals(flags, FuzzedGuest.MEMORY.le16(used + 14));
        if (id >= 0) {
            assertEquals(id, FuzzedGuest.MEMORY.le16(used + 12));
        }
    }
}

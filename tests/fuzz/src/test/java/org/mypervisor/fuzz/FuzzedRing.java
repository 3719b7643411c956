package org.mypervisor.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import java.util.List;
import org.mypervisor.driversim.GuestMemory;
import org.mypervisor.driversim.PackedLayout;
import org.mypervisor.driversim.Region;
import org.mypervisor.driversim.SplitLayout;

/** Writes a ring's available part as the fuzzer wishes: mostly what a driver could write, now and then anything. */
final class FuzzedRing {
    private static final int DESCRIPTOR = 16;
    private static final int MOST_DESCRIPTORS = 24;
    private static final int MOST_HEADS = 40;
    private static final int NEXT = 1;
    private static final int WRITE = 2;
    private static final int INDIRECT = 4;
    private static final int AVAIL = 1 << 7;
    private static final int USED = 1 << 15;
    private static final int LAPS = AVAIL | USED;
    private static final int NEAR = 40;

    private final FuzzedDataProvider data;
    private final GuestMemory memory;

    FuzzedRing(final FuzzedDataProvider data, final GuestMemory memory) {
        this.data = data;
        this.memory = memory;
    }

    /** An address that is worth a try: around the ends of regions, within one, or any. */
    long gpa() {
        final List<Region> regions = memory.regions();
        final int kind = data.consumeInt(0, 7);
        if (kind == 7) {
            return data.consumeLong();
        }
        final Region region = regions.get(data.consumeInt(0, regions.size() - 1));
        return switch (kind) {
            case 5 -> region.gpa() + data.consumeInt(-NEAR, NEAR);
            case 6 -> region.endGpa() + data.consumeInt(-NEAR, NEAR);
            default -> region.gpa() + 64L * data.consumeInt(0, (int) (region.size() / 64) - 1);
        };
    }

    /**
     * Descriptors in a split ring's table and in an indirect one, then heads and the index.
     *
     * @param table gpa of the indirect table
     * @param writable true for a receiveq
     * @param base index of the first available entry
     */
    void write(final SplitLayout layout, final long table, final boolean writable, final int base) {
        final int descriptors = data.consumeInt(0, MOST_DESCRIPTORS);
        for (int i = 0; i < descriptors; i++) {
            final boolean own = data.consumeInt(0, 3) != 0;
            final int slot = data.consumeInt(0, own ? Math.min(layout.size(), MOST_DESCRIPTORS) - 1 : MOST_DESCRIPTORS);
            descriptor((own ? layout.descGpa() : table) + DESCRIPTOR * slot, slot, table, writable);
        }
        final int heads = data.consumeInt(0, MOST_HEADS);
        for (int i = 0; i < Math.min(heads, layout.size()); i++) {
            final int head = data.consumeInt(0, 31) == 31 ? data.consumeInt(0, 0xFFFF) : data.consumeInt(0, 31);
            put16(layout.availGpa() + 4 + 2L * (base + i & layout.size() - 1), head);
        }
        put16(layout.availGpa() + 2, base + heads & 0xFFFF);
        put16(layout.availGpa(), data.consumeInt(0, 1));
        put16(layout.availGpa() + 4 + 2L * layout.size(), base + data.consumeInt(0, NEAR) & 0xFFFF);
    }

    /**
     * Descriptors in a packed ring and in an indirect table, and the driver's wish.
     *
     * @param wrap wrap counter of the lap in which most of them are available
     */
    void write(final PackedLayout layout, final long table, final boolean writable, final boolean wrap) {
        final int descriptors = data.consumeInt(0, 2 * MOST_DESCRIPTORS);
        for (int i = 0; i < descriptors; i++) {
            final boolean own = data.consumeInt(0, 3) != 0;
            final int slot = data.consumeInt(0, own ? layout.size() - 1 : MOST_DESCRIPTORS);
            final long at = (own ? layout.descGpa() : table) + DESCRIPTOR * slot;
            // A field that is cut by the end of a region cannot be read back here; such a ring is refused anyway.
            if (memory.isMapped(at, DESCRIPTOR) && at % 2 == 0) {
                descriptor(at, slot, table, writable);
                final int flags = memory.le16(at + 12);
                final int lap = data.consumeInt(0, 15) == 0 ? data.consumeInt(0, 0xFFFF) & LAPS : wrap ? AVAIL : USED;
                put16(at + 12, data.consumeInt(0, 0xFFFF));
                put16(at + 14, own ? flags & ~LAPS | lap : flags);
            }
        }
        put16(layout.driverEventGpa(), data.consumeInt(0, 0xFFFF));
        put16(layout.driverEventGpa() + 2, data.consumeInt(0, 3));
    }

    private void descriptor(final long at, final int slot, final long table, final boolean writable) {
        final int kind = data.consumeInt(0, 15);
        int flags = (writable ? WRITE : 0) | (data.consumeBoolean() ? NEXT : 0);
        long gpa = gpa();
        long length = data.consumeInt(0, 255);
        int next = slot + 1;
        switch (kind) {
            case 8, 9 -> {
                flags = flags & ~NEXT | INDIRECT;
                gpa = table;
                length = DESCRIPTOR * data.consumeInt(0, MOST_DESCRIPTORS);
            }
            case 10 -> flags = data.consumeInt(0, 0xFFFF);
            case 11 -> length = data.consumeInt() & 0xFFFF_FFFFL;
            case 12 -> length = data.consumeInt(0, 0x4000);
            case 13, 14 -> next = data.consumeInt(0, MOST_DESCRIPTORS);
            case 15 -> {
                next = data.consumeInt(0, 0xFFFF);
                flags |= data.consumeInt(0, 7);
            }
            default -> {
                // A plain buffer.
            }
        }
        final long word = length | (long) flags << 32 | (long) next << 48;
        if (memory.isMapped(at, DESCRIPTOR)) {
            putLong(at, gpa);
            putLong(at + 8, word);
        }
    }

    private void put16(final long gpa, final int value) {
        if (memory.isMapped(gpa, 2)) {
            memory.write(gpa, new byte[] {(byte) value, (byte) (value >> 8)});
        }
    }

    private void putLong(final long gpa, final long value) {
        final byte[] bytes = new byte[8];
        for (int i = 0; i < 8; i++) {
            bytes[i] = (byte) (value >>> 8 * i);
        }
        memory.write(gpa, bytes);
    }
}

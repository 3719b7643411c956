package org.mypervisor.virtqueue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.mypervisor.driversim.Descriptor;
import org.mypervisor.driversim.DriverRing;

/** One chain, legal or with a single defect, drawn from a seeded generator and written into a ring. */
final class RandomChain {
    private static final int NEXT = 1;
    private static final int WRITE = 2;
    private static final int INDIRECT = 4;

    /** What may be wrong; the judgement is the reference device's, not written here. */
    private enum Defect {
        ADDRESS,
        LENGTH,
        EMPTY_AT_BAD_ADDRESS,
        DIRECTION,
        NEXT_OUT_OF_RANGE,
        LOOP,
        HEAD,
        INDIRECT_FLAG,
        INDIRECT_BESIDE_NEXT,
        TABLE_LENGTH,
        TABLE_ADDRESS
    }

    /** Those that a packed ring can have: its chains have no links, and end where NEXT is not set. */
    private static final List<Defect> PACKED_DEFECTS = List.of(
            Defect.ADDRESS,
            Defect.LENGTH,
            Defect.EMPTY_AT_BAD_ADDRESS,
            Defect.DIRECTION,
            Defect.LOOP,
            Defect.INDIRECT_FLAG,
            Defect.INDIRECT_BESIDE_NEXT,
            Defect.TABLE_LENGTH,
            Defect.TABLE_ADDRESS);

    private static final List<Long> BAD_ADDRESSES =
            List.of(0L, TestRing.FIRST - 1, TestRing.HOLE, TestRing.HOLE + 0x100000, -1L, -16L, Long.MIN_VALUE);

    private final Random random;
    private final TestRing ring;
    private final long table;
    private final List<long[]> written = new ArrayList<>();
    private Defect defect;

    private RandomChain(final TestRing ring, final long table, final Random random) {
        this.ring = ring;
        this.table = table;
        this.random = random;
    }

    /**
     * Writes a chain into free descriptors and exposes it.
     *
     * @param table room for an indirect table as long as the ring
     * @return null when no descriptor was free
     */
    static RandomChain write(final TestRing ring, final long table, final Random random) {
        if (ring.driver.freeDescriptors() == 0) {
            return null;
        }
        final RandomChain chain = new RandomChain(ring, table, random);
        return ring.features.packed() ? chain.writePacked() : chain.write();
    }

    /** Whether the chain does not end where its driver thinks, so that the two disagree about all that follows. */
    boolean isEndless() {
        return ring.features.packed() && defect == Defect.LOOP;
    }

    private RandomChain writePacked() {
        final boolean indirect = random.nextInt(3) == 0 && (ring.features.indirect() || random.nextInt(20) == 0);
        final boolean healthy = random.nextInt(3) != 0 || (indirect && !ring.features.indirect());
        defect = healthy ? null : PACKED_DEFECTS.get(random.nextInt(PACKED_DEFECTS.size()));
        final int count = 1 + random.nextInt(indirect ? ring.layout.size() : mostInRing());
        final int spoilt = random.nextInt(count);
        final List<Descriptor> chain = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            chain.add(packedBuffer(i == spoilt ? defect : null, indirect, i == count - 1));
        }
        if (indirect) {
            ring.driver.writeTable(table, chain);
        }
        ring.driver.addRaw(indirect ? List.of(indirect(count)) : chain);
        ring.driver.publish();
        chain.forEach(each -> written.add(new long[] {0, each.gpa(), each.length(), each.flags(), 0}));
        return this;
    }

    private int mostInRing() {
        return Math.min(ring.driver.freeDescriptors(), 1 + random.nextInt(8));
    }

    private Descriptor packedBuffer(final Defect here, final boolean inTable, final boolean last) {
        final long[] drawn = draw(here);
        int flags = (int) drawn[2];
        if (inTable) {
            flags |= random.nextInt(0x10000) & ~WRITE;
        } else if (here == Defect.INDIRECT_FLAG) {
            flags |= INDIRECT | NEXT;
        }
        return new Descriptor(drawn[0], drawn[1], last && defect == Defect.LOOP ? flags | NEXT : flags);
    }

    /** The indirect descriptor of a packed ring. */
    private Descriptor indirect(final int entries) {
        final long[] drawn = drawIndirect(entries, defect);
        return new Descriptor(drawn[0], drawn[1], (int) drawn[2]);
    }

    private RandomChain write() {
        final boolean indirect = random.nextInt(3) == 0 && (ring.features.indirect() || random.nextInt(20) == 0);
        final boolean healthy = random.nextInt(3) != 0 || (indirect && !ring.features.indirect());
        defect = healthy ? null : Defect.values()[random.nextInt(Defect.values().length)];
        final int most = Math.min(ring.driver.freeDescriptors(), 1 + random.nextInt(8));
        final int plain = indirect ? most - 1 : most;
        final int[] slots = ring.split().take(most);
        final int inTable = indirect ? 1 + random.nextInt(ring.layout.size() - plain) : 0;
        final int spoilt = random.nextInt(plain + inTable);
        for (int i = 0; i < plain + inTable; i++) {
            final boolean last = i == plain + inTable - 1;
            final int position = i < plain ? i : i - plain;
            final int next = i < plain ? (i + 1 < most ? slots[i + 1] : random.nextInt(0x10000)) : position + 1;
            final long at = i < plain ? ring.layout.descGpa() + 16L * slots[i] : table + 16L * position;
            final int ringSize = i < plain ? ring.layout.size() : inTable;
            final int back = i < plain ? slots[random.nextInt(i + 1)] : random.nextInt(position + 1);
            buffer(at, last ? 0 : NEXT, next, i == spoilt ? defect : null, ringSize, back);
        }
        if (indirect) {
            indirect(slots[plain], inTable, defect);
        }
        ring.split().expose(defect == Defect.HEAD ? badIndex(ring.layout.size()) : slots[0]);
        ring.driver.publish();
        return this;
    }

    private void buffer(
            final long at,
            final int more,
            final int follower,
            final Defect defect,
            final int tableSize,
            final int back) {
        final long[] drawn = draw(defect);
        int flags = more | (int) drawn[2];
        int next = follower;
        switch (defect == null ? Defect.HEAD : defect) {
            case NEXT_OUT_OF_RANGE -> {
                flags |= NEXT;
                next = badIndex(tableSize);
            }
            case LOOP -> {
                flags |= NEXT;
                next = back;
            }
            // Beside NEXT it is wrong in every table, whatever lies at the address.
            case INDIRECT_FLAG -> flags |= INDIRECT | NEXT;
            default -> {
                // The defect lies elsewhere.
            }
        }
        put(at, drawn[0], drawn[1], flags, next);
    }

    /** Address, length and direction of a buffer. */
    private long[] draw(final Defect defect) {
        long gpa = gpa();
        long length = random.nextInt(8) == 0 ? 0 : 1 + random.nextInt(2000);
        int flags = ring.writable ? WRITE : 0;
        switch (defect == null ? Defect.HEAD : defect) {
            case ADDRESS -> gpa = BAD_ADDRESSES.get(random.nextInt(BAD_ADDRESSES.size()));
            case LENGTH -> length = TestRing.HOLE - gpa + 1 + (random.nextBoolean() ? 0 : random.nextInt(0x4000_0000));
            case EMPTY_AT_BAD_ADDRESS -> {
                gpa = BAD_ADDRESSES.get(random.nextInt(BAD_ADDRESSES.size()));
                length = 0;
            }
            case DIRECTION -> flags ^= WRITE;
            default -> {
                // The defect lies elsewhere.
            }
        }
        return new long[] {gpa, length, flags};
    }

    /** Mostly anywhere, often around the seam of the two regions or at the very end; room for 2000 bytes behind it. */
    private long gpa() {
        return switch (random.nextInt(4)) {
            case 0 -> TestRing.BOUNDARY - random.nextInt(2100);
            case 1 -> TestRing.HOLE - 2000 - random.nextInt(100);
            default -> TestRing.FIRST + random.nextInt((int) (TestRing.HOLE - TestRing.FIRST - 2000));
        };
    }

    private void indirect(final int slot, final int entries, final Defect defect) {
        final long[] drawn = drawIndirect(entries, defect);
        put(ring.layout.descGpa() + 16L * slot, drawn[0], drawn[1], (int) drawn[2], 0);
    }

    /** Address, length and flags of an indirect descriptor. */
    private long[] drawIndirect(final int entries, final Defect defect) {
        long at = table;
        long length = 16L * entries;
        int flags = INDIRECT | (random.nextInt(10) == 0 ? WRITE : 0);
        if (defect == Defect.INDIRECT_BESIDE_NEXT) {
            flags |= NEXT;
        } else if (defect == Defect.TABLE_LENGTH) {
            length = random.nextBoolean() ? 0 : length + 1 + random.nextInt(15);
        } else if (defect == Defect.TABLE_ADDRESS) {
            at = BAD_ADDRESSES.get(random.nextInt(BAD_ADDRESSES.size()));
        }
        return new long[] {at, length, flags};
    }

    private int badIndex(final int size) {
        return size + (random.nextBoolean() ? 0 : random.nextInt(0x10000 - size));
    }

    private void put(final long at, final long gpa, final long length, final int flags, final int next) {
        final DriverRing bytes = ring.ring();
        bytes.writeDescriptorAt(at, gpa, length, flags, next);
        written.add(new long[] {at, gpa, length, flags, next});
    }

    /** For the message of a failure. */
    @Override
    public String toString() {
        final StringBuilder story = new StringBuilder(defect + ":");
        for (final long[] each : written) {
            story.append("\n  at 0x%x: gpa=0x%x len=0x%x flags=%d next=%d"
                    .formatted(each[0], each[1], each[2], each[3], each[4]));
        }
        return story.toString();
    }
}

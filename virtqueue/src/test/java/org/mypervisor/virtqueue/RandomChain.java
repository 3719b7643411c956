package org.mypervisor.virtqueue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
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
        return ring.driver.freeDescriptors() == 0 ? null : new RandomChain(ring, table, random).write();
    }

    private RandomChain write() {
        final boolean indirect = random.nextInt(3) == 0 && (ring.features.indirect() || random.nextInt(20) == 0);
        final boolean healthy = random.nextInt(3) != 0 || (indirect && !ring.features.indirect());
        defect = healthy ? null : Defect.values()[random.nextInt(Defect.values().length)];
        final int most = Math.min(ring.driver.freeDescriptors(), 1 + random.nextInt(8));
        final int plain = indirect ? most - 1 : most;
        final int[] slots = ring.driver.take(most);
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
        ring.driver.expose(defect == Defect.HEAD ? badIndex(ring.layout.size()) : slots[0]);
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
        long gpa = gpa();
        long length = random.nextInt(8) == 0 ? 0 : 1 + random.nextInt(2000);
        int flags = more | (ring.writable ? WRITE : 0);
        int next = follower;
        switch (defect == null ? Defect.HEAD : defect) {
            case ADDRESS -> gpa = BAD_ADDRESSES.get(random.nextInt(BAD_ADDRESSES.size()));
            case LENGTH -> length = TestRing.HOLE - gpa + 1 + (random.nextBoolean() ? 0 : random.nextInt(0x4000_0000));
            case EMPTY_AT_BAD_ADDRESS -> {
                gpa = BAD_ADDRESSES.get(random.nextInt(BAD_ADDRESSES.size()));
                length = 0;
            }
            case DIRECTION -> flags ^= WRITE;
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
        put(at, gpa, length, flags, next);
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
        put(ring.layout.descGpa() + 16L * slot, at, length, flags, 0);
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

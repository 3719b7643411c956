package org.mypervisor.virtqueue;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Finds out from a packed ring alone where its device has to go on.
 *
 * <p>A front-end that lost its back-end restores the base it saved last, which may be many laps old, and a packed ring
 * has no index in memory as {@code used.idx} is (vhost-user specification, "Vring descriptor indices"). But a device that
 * completes in order leaves a trace: the AVAIL bits change once, where the driver will write next. From there on around
 * the ring lie first the descriptors of chains that are done, with USED equal to AVAIL, and then those to be done.
 * {@link PackedVirtqueue} marks every descriptor of a chain for that, also those that drivers skip.
 *
 * <p>The driver may write while we read. What was read is then in no order that a device leaves, and read once more.
 */
final class PackedPosition {
    /** Adding a chain takes a driver far less, but its processor may have to wait for ours. */
    private static final int MOST_LOOKS = 20;

    private static final long NANOS_BETWEEN_LOOKS = TimeUnit.MILLISECONDS.toNanos(1);

    private final int[] flags;
    private int index;
    private boolean wrap;

    private PackedPosition(final long desc, final int size) {
        flags = new int[size];
        for (int slot = 0; slot < size; slot++) {
            flags[slot] = PackedDesc.flags(PackedDesc.lenIdFlags(desc + (long) slot * PackedDesc.SIZE));
        }
    }

    /**
     * Where the device goes on.
     *
     * @param desc host address of the ring, which no device uses meanwhile
     * @param given the front-end's opinion, believed if it is the begin and nothing in the ring was ever used
     * @return {@link PackedEvent#offWrap index and wrap counter}
     * @throws IllegalArgumentException when it cannot be told
     */
    static int find(final long desc, final int size, final int given) {
        for (int look = 0; look < MOST_LOOKS; look++) {
            final PackedPosition position = new PackedPosition(desc, size);
            if (position.isFound()) {
                return PackedEvent.offWrap(position.index, position.wrap);
            }
            if (position.isUntouched() && given == PackedEvent.offWrap(0, true)) {
                return given;
            }
            LockSupport.parkNanos(NANOS_BETWEEN_LOOKS);
        }
        throw new IllegalArgumentException(
                "the index of a packed ring was lost with the former back-end, which left the"
                        + " ring in no order; restart the guest's driver, or use packed=off");
    }

    private boolean isFound() {
        final int size = flags.length;
        final int driver = driverIndex();
        if (driver < 0) {
            return false;
        }
        int done = 0;
        while (done < size && !isOutstanding((driver + done) % size)) {
            done++;
        }
        // Where the AVAIL bits do not change within the ring, the driver stands at its begin, in the next lap.
        final boolean driverWrap = driver == 0 ? !PackedDesc.availBit(flags[0]) : PackedDesc.availBit(flags[0]);
        index = (driver + done) % size;
        wrap = driver + done < size ? !driverWrap : driverWrap;
        return areChainsOutstanding(driver + done, driver + size);
    }

    /**
     * Whether chains to be done follow each other in this range, none of them marked beyond what a begun completion marks.
     * Behind the first one there may be used descriptors: a publication writes it last.
     */
    private boolean areChainsOutstanding(final int from, final int to) {
        final int size = flags.length;
        int slot = from;
        while (slot < to && isOutstanding(slot % size)) {
            final boolean first = slot == from;
            while (slot < to - 1 && (flags[slot % size] & VirtqDesc.VIRTQ_DESC_F_NEXT) != 0) {
                slot++;
            }
            slot++;
            while (first && slot < to && !isOutstanding(slot % size)) {
                slot++;
            }
        }
        return slot == to;
    }

    /** Slot that the driver will write next: where the AVAIL bit changes, or 0; below 0 when it changes twice. */
    private int driverIndex() {
        int found = 0;
        for (int slot = 1; slot < flags.length; slot++) {
            if (PackedDesc.availBit(flags[slot]) != PackedDesc.availBit(flags[slot - 1])) {
                if (found != 0) {
                    return -1;
                }
                found = slot;
            }
        }
        return found;
    }

    private boolean isOutstanding(final int slot) {
        return PackedDesc.availBit(flags[slot]) != PackedDesc.usedBit(flags[slot]);
    }

    private boolean isUntouched() {
        for (final int each : flags) {
            if (PackedDesc.usedBit(each)) {
                return false;
            }
        }
        return true;
    }
}

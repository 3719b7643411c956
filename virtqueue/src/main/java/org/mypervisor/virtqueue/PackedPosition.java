package org.mypervisor.virtqueue;

/**
 * Finds out from a packed ring alone where its device has to go on.
 *
 * <p>A front-end that lost its back-end restores the base it saved last, which may be many laps old, and a packed ring
 * has no index in memory as {@code used.idx} is (vhost-user specification, "Vring descriptor indices"). But a device that
 * completes in order leaves a trace: the AVAIL bits change once, where the driver will write next, and before that place
 * lie the descriptors whose USED bit differs, which are still to be done. This is exact as long as every chain is one
 * descriptor. Of a longer chain the device marks only the first as used and the others look as if they were still to be
 * done; then the place is unknown.
 */
final class PackedPosition {
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
        final PackedPosition position = new PackedPosition(desc, size);
        if (!position.isFound()) {
            if (position.isUntouched() && given == PackedEvent.offWrap(0, true)) {
                return given;
            }
            throw new IllegalArgumentException(
                    "the index of a packed ring was lost with the former back-end, and chains of several descriptors hide"
                            + " it; restart the guest's driver, and leave indirect_desc=on or use packed=off");
        }
        return PackedEvent.offWrap(position.index, position.wrap);
    }

    private boolean isFound() {
        final int size = flags.length;
        final int driver = driverIndex();
        if (driver < 0) {
            return false;
        }
        int outstanding = 0;
        while (outstanding < size && isOutstanding((driver - 1 - outstanding + 2 * size) % size)) {
            outstanding++;
        }
        for (int i = outstanding; i < size; i++) {
            if (isOutstanding((driver - 1 - i + 2 * size) % size)) {
                return false;
            }
        }
        // Where the AVAIL bits do not change within the ring, the driver stands at its begin, in the next lap.
        final boolean driverWrap = driver == 0 ? !PackedDesc.availBit(flags[0]) : PackedDesc.availBit(flags[0]);
        index = (driver - outstanding + size) % size;
        wrap = driver >= outstanding ? driverWrap : !driverWrap;
        return !isAnyChained();
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

    private boolean isAnyChained() {
        for (int slot = 0; slot < flags.length; slot++) {
            if (isOutstanding(slot) && (flags[slot] & VirtqDesc.VIRTQ_DESC_F_NEXT) != 0) {
                return true;
            }
        }
        return false;
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

package org.mypervisor.offload;

import java.util.Set;
import org.mypervisor.virtqueue.MemoryProbe;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * The rings and ports at the two ends of a wire, and the rules of who counts what and when frames may pass.
 *
 * @param source the port that frames come from
 * @param pair queue pair of the source
 * @param destination null when the source has no path
 * @param guards ports that must be up, else frames end as {@link DropReason#VM_DOWN}
 */
record WireEnds(Port source, int pair, Port destination, Port[] guards) {
    /** The source's ring, or null while it is stopped. */
    RunningQueue from() {
        return source.transmitq(pair);
    }

    /** The destination's ring, or null while it is not up. */
    RunningQueue to() {
        return destination == null ? null : destination.receiveqFor(pair);
    }

    /** How long a frame may wait for room in the destination. */
    long waitNanos() {
        return destination == null ? 0 : Math.max(destination.waitNanos(), source.patienceNanos());
    }

    /**
     * Whether a frame has to wait because queues that it needs are coming back.
     *
     * @param now as of {@link System#nanoTime}
     */
    boolean isHeld(final long now) {
        if (destination == null) {
            return false;
        }
        for (final Port guard : guards) {
            if (guard.isHeld(now)) {
                return true;
            }
        }
        return destination.isHeld(now);
    }

    /** {@link Element#PASS}, or why no frame may pass now. */
    int gate() {
        return source.isTransmitqEnabled(pair) ? gateWhateverTheSource() : DropReason.DISABLED.ordinal();
    }

    int gateWhateverTheSource() {
        if (destination == null) {
            return DropReason.NO_PATH.ordinal();
        }
        for (final Port guard : guards) {
            if (!guard.isUp()) {
                return DropReason.VM_DOWN.ordinal();
            }
        }
        return Element.PASS;
    }

    /** On the path when an element or guard decided, else on the port that is the reason. */
    void countDrop(final int reason, final Path path) {
        // Not a switch: for that the first drop would load a class, and allocate.
        final DropReason why = DropReason.of(reason);
        if (why == DropReason.DENIED || why == DropReason.UNPARSABLE || why == DropReason.VM_DOWN) {
            path.drops[reason].add(1);
        } else if (why == DropReason.NO_PATH || why == DropReason.DISABLED) {
            source.drops[reason].add(1);
        } else {
            destination.drops[reason].add(1);
        }
    }

    /** Shows the drivers what was completed and calls those that want it. */
    void publish(final RunningQueue from, final RunningQueue to) {
        if (to != null) {
            destination.calls.add(to.publishAndCall());
        }
        if (from != null) {
            source.calls.add(from.publishAndCall());
        }
    }

    /** Adds the ports whose rings or buffers at hand lie in memory that cannot be had. */
    void findCulprits(final MemoryProbe probe, final Set<Port> culprits) {
        if (from() != null && !from().queue().isWhole(probe)) {
            culprits.add(source);
        }
        if (to() != null && !to().queue().isWhole(probe)) {
            culprits.add(destination);
        }
    }

    /** Gives both rings up. */
    void breakRings(final RingFault why) {
        if (from() != null) {
            from().queue().breakRing(why);
        }
        if (to() != null) {
            to().queue().breakRing(why);
        }
    }
}

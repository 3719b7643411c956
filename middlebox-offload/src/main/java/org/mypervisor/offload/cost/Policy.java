package org.mypervisor.offload.cost;

import java.util.Arrays;
import java.util.Optional;

/** Where a middlebox's work is done, in the words of the command line. */
public enum Policy {
    /** Bridge, tap and QEMU, without Mypervisor. */
    TRADITIONAL("traditional"),
    NONE("none"),
    FILTER("filter"),
    FILTER_WIRE("filter+wire");

    /** How long a guest counts as awake after a frame. 10 ms fits nearly as well, the 0.1 to 0.2 ms between wake-ups do not. */
    private static final double AWAKE_S = 0.001;

    private final String word;

    Policy(final String word) {
        this.word = word;
    }

    public static Optional<Policy> of(final String word) {
        return Arrays.stream(values())
                .filter(policy -> policy.word.equals(word))
                .findAny();
    }

    /** What one packet of this load makes host and guests do under this policy. */
    Work work(final Load load, final double wakeUpSpacingS) {
        // One worker takes a frame through a whole chain of filters and wires, and copies it once.
        final boolean atOnce = this == FILTER_WIRE;
        final double allowed = (atOnce ? 1 : load.chain()) * load.allowedShare();
        return new Work(
                judged(load),
                allowed,
                load.frameBytes() * (atOnce ? allowed : guestFrames(load)),
                wakeUps(atOnce ? 1 : guestFrames(load), load.packetsPerSecond(), wakeUpSpacingS),
                awakeMiddleboxes(load) / load.packetsPerSecond());
    }

    /** Middleboxes at a moment that are not asleep. Behind the first one only allowed packets keep them awake. */
    private double awakeMiddleboxes(final Load load) {
        if (this == FILTER_WIRE) {
            // The worker looks after all of them.
            return load.chain();
        }
        final double others = awake(2 * load.allowedShare() * load.packetsPerSecond());
        final double first = this == FILTER ? others : awake((1 + load.allowedShare()) * load.packetsPerSecond());
        return first + (load.chain() - 1) * others;
    }

    /** The share of time that a guest is awake which so many frames a second enter or leave. */
    private static double awake(final double framesPerSecond) {
        return -Math.expm1(-AWAKE_S * framesPerSecond);
    }

    /** For each packet: those that come while somebody is awake need none, so in a second there are 1 / spacing at most. */
    private static double wakeUps(final double framesPerPacket, final double packetsPerSecond, final double spacingS) {
        return spacingS == 0
                ? framesPerPacket
                : -Math.expm1(-spacingS * framesPerPacket * packetsPerSecond) / spacingS / packetsPerSecond;
    }

    /** How often a packet is judged: a denied one ends at the first middlebox, an allowed one sees them all. */
    private static double judged(final Load load) {
        return 1 + (load.chain() - 1) * load.allowedShare();
    }

    /** Frames that enter or leave a middlebox guest for each packet of the load. */
    public double guestFrames(final Load load) {
        final double allowed = load.chain() * load.allowedShare();
        return switch (this) {
            case FILTER_WIRE -> 0;
            case FILTER -> 2 * allowed;
            case NONE, TRADITIONAL -> judged(load) + allowed;
        };
    }

    @Override
    public String toString() {
        return word;
    }
}

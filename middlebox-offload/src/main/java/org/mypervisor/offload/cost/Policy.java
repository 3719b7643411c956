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
        final double judged = judged(load);
        final double allowed = load.chain() * load.allowedShare();
        return new Work(
                judged,
                allowed,
                load.frameBytes() * copies(judged, allowed),
                wakeUps(this == FILTER_WIRE ? judged : guestFrames(load), load.packetsPerSecond(), wakeUpSpacingS),
                load.chain() / load.packetsPerSecond());
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

    private double copies(final double judged, final double allowed) {
        return this == FILTER_WIRE ? allowed : guestFrames(judged, allowed);
    }

    /** Frames that enter or leave a middlebox guest for each packet of the load. */
    public double guestFrames(final Load load) {
        return this == FILTER_WIRE ? 0 : guestFrames(judged(load), load.chain() * load.allowedShare());
    }

    private double guestFrames(final double judged, final double allowed) {
        return (this == FILTER ? allowed : judged) + allowed;
    }

    @Override
    public String toString() {
        return word;
    }
}

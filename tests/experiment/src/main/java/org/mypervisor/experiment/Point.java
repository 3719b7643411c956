package org.mypervisor.experiment;

import java.util.Comparator;
import java.util.Locale;
import java.util.Objects;

/**
 * The parameters of a run besides arrangement and round.
 *
 * @param frameBytes 0 where the traffic has no one size
 * @param rate packets a second that a paced sender offered, rounded; 0 for traffic that goes as fast as it can
 */
record Point(
        String traffic,
        boolean paced,
        double frameBytes,
        boolean offloads,
        double deniedShare,
        int chain,
        double rate) {
    static final Comparator<Point> ORDER = Comparator.comparing(Point::traffic)
            .thenComparing(Point::paced)
            .thenComparing(Point::chain)
            .thenComparing(Point::deniedShare)
            .thenComparing(Point::frameBytes)
            .thenComparing(Point::rate)
            .thenComparing(Point::offloads);

    /** In how many parameters it differs from another one. */
    int distance(final Point other) {
        return count(!traffic.equals(other.traffic))
                + count(paced != other.paced)
                + count(frameBytes != other.frameBytes)
                + count(offloads != other.offloads)
                + count(deniedShare != other.deniedShare)
                + count(chain != other.chain)
                + count(!Objects.equals(rate, other.rate));
    }

    private static int count(final boolean differs) {
        return differs ? 1 : 0;
    }

    Point withDeniedShare(final double share) {
        return new Point(traffic, paced, frameBytes, offloads, share, chain, rate);
    }

    Point withFrameBytes(final double bytes) {
        return new Point(traffic, paced, bytes, offloads, deniedShare, chain, rate);
    }

    Point withChain(final int length) {
        return new Point(traffic, paced, frameBytes, offloads, deniedShare, length, rate);
    }

    Point withRate(final double packetsPerSecond) {
        return new Point(traffic, paced, frameBytes, offloads, deniedShare, chain, packetsPerSecond);
    }

    String describe() {
        final String pace = rate > 0
                ? "paced at about %s packets/s".formatted(Numbers.text(rate))
                : paced ? "paced" : "as fast as it goes";
        return String.format(
                Locale.ROOT,
                "%s%s, %s, %.0f %% denied, %d %s, offloads %s",
                traffic,
                frameBytes > 0 ? " of %.0f B".formatted(frameBytes) : "",
                pace,
                100 * deniedShare,
                chain,
                chain == 1 ? "middlebox" : "middleboxes",
                offloads ? "on" : "off");
    }
}

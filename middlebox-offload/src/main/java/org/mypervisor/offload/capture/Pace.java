package org.mypervisor.offload.capture;

import java.math.BigDecimal;

/**
 * How fast a capture is replayed.
 *
 * @param speed multiple of the recorded speed, above 0; infinite for as fast as the receiver takes the frames
 * @param rate frames a second, whatever was recorded, or 0 when {@code speed} decides
 */
public record Pace(double speed, int rate) {
    /** As recorded. */
    public static final Pace RECORDED = new Pace(1, 0);

    /** As fast as possible. */
    public static final Pace MAX = new Pace(Double.POSITIVE_INFINITY, 0);

    public boolean isMax() {
        return rate == 0 && Double.isInfinite(speed);
    }

    /** As an option of the port, such as {@code speed=2x}. */
    public String text() {
        if (rate != 0) {
            return "rate=" + rate;
        }
        if (isMax()) {
            return "speed=max";
        }
        return "speed="
                + (speed == 1
                        ? "recorded"
                        : BigDecimal.valueOf(speed).stripTrailingZeros().toPlainString() + "x");
    }
}

package org.mypervisor.experiment;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Arrays;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.stream.DoubleStream;

/** Medians, and numbers as text with as many digits as a measured one deserves. */
final class Numbers {
    static final String NOT_MEASURED = "not measured";
    private static final MathContext THREE_DIGITS = new MathContext(3);

    private Numbers() {}

    static OptionalDouble median(final DoubleStream values) {
        final double[] sorted = values.sorted().toArray();
        if (sorted.length == 0) {
            return OptionalDouble.empty();
        }
        final int middle = sorted.length / 2;
        return OptionalDouble.of(sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2);
    }

    static OptionalDouble max(final double[] values) {
        return Arrays.stream(values).max();
    }

    static String text(final OptionalDouble value) {
        return value.isEmpty() ? NOT_MEASURED : text(value.getAsDouble());
    }

    static String text(final double value) {
        if (!Double.isFinite(value)) {
            return NOT_MEASURED;
        }
        if (Math.abs(value) >= 100) {
            return String.format(Locale.ROOT, "%,.0f", value);
        }
        return new BigDecimal(value).round(THREE_DIGITS).stripTrailingZeros().toPlainString();
    }

    static String percent(final OptionalDouble share) {
        return share.isEmpty() ? NOT_MEASURED : text(100 * share.getAsDouble()) + " %";
    }

    /** Two significant digits, so that rates which were meant to be equal are. */
    static double rounded(final double value) {
        return value == 0 ? 0 : new BigDecimal(value).round(new MathContext(2)).doubleValue();
    }

    /** Empty when there is nothing to divide, or nothing above 0 to divide by. */
    static OptionalDouble ratio(final OptionalDouble value, final OptionalDouble of) {
        return value.isEmpty() || of.isEmpty() || of.getAsDouble() <= 0
                ? OptionalDouble.empty()
                : OptionalDouble.of(value.getAsDouble() / of.getAsDouble());
    }
}

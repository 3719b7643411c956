package org.mypervisor.offload.capture;

/**
 * How an interface of a pcapng file counts time: {@code if_tsresol} and {@code if_tsoffset}.
 *
 * @param binary whether a second has 2^exponent ticks; else it has 10^exponent
 * @param exponent 0..127
 * @param offsetSeconds added to each time
 */
record Ticks(boolean binary, int exponent, long offsetSeconds) {
    /** Of an interface that says nothing of it. */
    static final int MICROSECONDS = 6;

    private static final int NANOSECONDS = 9;
    private static final long NANOS_PER_SECOND = 1_000_000_000;
    /** So many bits of a second's fraction are finer than a nanosecond, and can be multiplied by 10^9. */
    private static final int FRACTION_BITS = 30;

    /** Times of 32 bits of seconds fit every file, and are all there are up to 2106. */
    private static final long MAX_SECONDS = 0xFFFF_FFFFL;

    /** @param resolution as in {@code if_tsresol}: the highest bit says that the exponent below it is one of 2 */
    static Ticks of(final int resolution, final long offsetSeconds) {
        return new Ticks((resolution & 0x80) != 0, resolution & 0x7F, offsetSeconds);
    }

    /** Nanoseconds since 1970. What is finer is cut off. */
    long nanos(final long ticks, final CaptureInput input) throws CaptureException {
        final long seconds;
        final long fraction;
        if (binary) {
            seconds = shiftRight(ticks, exponent);
            final long below = exponent >= Long.SIZE ? ticks : ticks & (1L << exponent) - 1;
            final int coarser = Math.max(exponent - FRACTION_BITS, 0);
            fraction = shiftRight(shiftRight(below, coarser) * NANOS_PER_SECOND, exponent - coarser);
        } else {
            final long perSecond = powerOfTen(exponent);
            seconds = perSecond == 0 ? 0 : Long.divideUnsigned(ticks, perSecond);
            final long below = perSecond == 0 ? ticks : Long.remainderUnsigned(ticks, perSecond);
            if (exponent <= NANOSECONDS) {
                fraction = below * powerOfTen(NANOSECONDS - exponent);
            } else {
                final long finer = powerOfTen(exponent - NANOSECONDS);
                fraction = finer == 0 ? 0 : Long.divideUnsigned(below, finer);
            }
        }
        final long total = seconds + offsetSeconds;
        // A sum that overflows is below 0 or not what was added to; both are far outside.
        if (seconds < 0 || seconds > Long.MAX_VALUE >> 1 || total < 0 || total > MAX_SECONDS) {
            throw input.damaged("a time that lies outside the years 1970 to 2106");
        }
        return total * NANOS_PER_SECOND + fraction;
    }

    private static long shiftRight(final long value, final int bits) {
        return bits >= Long.SIZE ? 0 : value >>> bits;
    }

    /** 0 for what is more than an unsigned number of 64 bits can be. */
    private static long powerOfTen(final int power) {
        long result = 1;
        for (int i = 0; i < power; i++) {
            if (Long.compareUnsigned(result, Long.divideUnsigned(-1L, 10)) > 0) {
                return 0;
            }
            result *= 10;
        }
        return result;
    }
}

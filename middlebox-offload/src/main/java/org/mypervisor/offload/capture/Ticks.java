package org.mypervisor.offload.capture;

import java.nio.ByteBuffer;

/**
 * How an interface of a pcapng file counts time: {@code if_tsresol} and {@code if_tsoffset}.
 *
 * @param binary whether a second has 2^exponent ticks; else it has 10^exponent
 * @param exponent 0..127
 * @param offsetSeconds added to each time
 */
record Ticks(boolean binary, int exponent, long offsetSeconds) {
    private static final int END_OF_OPTIONS = 0;
    private static final int IF_TSRESOL = 9;
    private static final int IF_TSOFFSET = 14;
    private static final int OPTION_HEADER = 4;

    private static final int MICROSECONDS = 6;
    private static final int NANOSECONDS = 9;
    private static final long NANOS_PER_SECOND = 1_000_000_000;
    /** So many bits of a second's fraction are finer than a nanosecond, and can be multiplied by 10^9. */
    private static final int FRACTION_BITS = 30;

    /** Times of 32 bits of seconds fit every file, and are all there are up to 2106. */
    private static final long MAX_SECONDS = 0xFFFF_FFFFL;

    /** Reads the options of an interface. */
    static Ticks of(final ByteBuffer options, final CaptureInput input) throws CaptureException {
        int resolution = MICROSECONDS;
        long offset = 0;
        while (options.remaining() >= OPTION_HEADER) {
            final int code = options.getShort() & 0xFFFF;
            final int length = options.getShort() & 0xFFFF;
            final int padded = length + 3 & -4;
            if (code == END_OF_OPTIONS) {
                break;
            }
            if (padded > options.remaining()) {
                throw input.damaged(
                        "option " + code + " of " + length + " bytes, of which there are " + options.remaining());
            }
            if (code == IF_TSRESOL && length == 1) {
                resolution = options.get(options.position()) & 0xFF;
            } else if (code == IF_TSOFFSET && length == Long.BYTES) {
                offset = options.getLong(options.position());
            }
            options.position(options.position() + padded);
        }
        return new Ticks((resolution & 0x80) != 0, resolution & 0x7F, offset);
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

package org.mypervisor.offload.rules;

/**
 * A set of addresses that begin alike, or {@link #ANY}. Immutable.
 *
 * @param version 4 or 6; 0 for {@link #ANY}, which holds the addresses of both
 * @param length number of fixed leading bits
 * @param high first 64 bits of an IPv6 prefix, else 0
 * @param low last 64 bits of an IPv6 prefix, or an IPv4 prefix as 0..2^32-1
 */
public record IpPrefix(int version, int length, long high, long low) {
    /** Every address of both versions. */
    public static final IpPrefix ANY = new IpPrefix(0, 0, 0, 0);

    private static final long LOW_32 = 0xFFFF_FFFFL;

    /**
     * Reads {@code any}, an address, or {@code ADDRESS/LENGTH}.
     *
     * @throws IllegalArgumentException with a whole sentence for the user
     */
    static IpPrefix parse(final String text) {
        if (text.equals("any")) {
            return ANY;
        }
        final int slash = text.indexOf('/');
        final String addressText = slash < 0 ? text : text.substring(0, slash);
        final IpAddress address;
        try {
            address = IpAddress.parse(addressText);
        } catch (final IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    Mistake.quote(addressText) + " is not an IP address: " + e.getMessage(), e);
        }
        final int bits = address.version() == 4 ? 32 : 128;
        final int length = slash < 0 ? bits : length(text.substring(slash + 1), bits);
        final IpPrefix prefix = new IpPrefix(address.version(), length, address.high(), address.low());
        final IpAddress network =
                new IpAddress(address.version(), prefix.high & prefix.highMask(), prefix.low & prefix.lowMask());
        if (!network.equals(address)) {
            throw new IllegalArgumentException(Mistake.quote(text) + " has bits set behind the prefix; write " + network
                    + "/" + length + " for the whole network or " + address + " for the one address");
        }
        return prefix;
    }

    private static int length(final String text, final int bits) {
        final boolean number =
                !text.isEmpty() && text.length() <= 3 && text.chars().allMatch(c -> c >= '0' && c <= '9');
        final int length = number ? Integer.parseInt(text) : -1;
        if (length < 0 || length > bits) {
            throw new IllegalArgumentException("the prefix length " + Mistake.quote(text)
                    + " is not a number from 0 to " + bits + (bits == 32 ? "; masks are not understood" : ""));
        }
        return length;
    }

    /** Ones where {@link #high} is fixed. */
    long highMask() {
        return version != 6 || length == 0 ? 0 : length >= 64 ? -1 : -1L << 64 - length;
    }

    /** Ones where {@link #low} is fixed. */
    long lowMask() {
        if (version == 6) {
            return length <= 64 ? 0 : -1L << 128 - length;
        }
        return length == 0 ? 0 : LOW_32 << 32 - length & LOW_32;
    }
}

package org.mypervisor.offload.rules;

import java.util.Locale;

/**
 * An IPv4 or IPv6 address as two words in host order, and the strict reading of its text. Never asks a name server:
 * whatever is not an address is refused with the reason. Control threads only.
 *
 * @param version 4 or 6
 * @param high the first 64 bits of an IPv6 address; 0 for IPv4
 * @param low the last 64 bits of an IPv6 address; an IPv4 address as 0..2^32-1
 */
record IpAddress(int version, long high, long low) {
    private static final int GROUPS = 8;
    private static final int GROUP_BITS = 16;
    private static final int LONGEST_TEXT = 45;

    /**
     * Reads {@code 192.0.2.1}, {@code 2001:db8::1} or {@code ::ffff:192.0.2.1}.
     *
     * @throws IllegalArgumentException with the reason, to stand behind "'…' is not an IP address: "
     */
    static IpAddress parse(final String text) {
        if (text.indexOf('%') >= 0) {
            throw new IllegalArgumentException("zones like %eth0 mean nothing in a frame; leave the zone out");
        }
        if (text.indexOf(':') >= 0) {
            return parse6(text);
        }
        if (text.isEmpty() || !text.chars().allMatch(c -> c == '.' || isDigit(c))) {
            throw new IllegalArgumentException("names are not looked up; write 'any', 192.0.2.1 or 2001:db8::1");
        }
        return new IpAddress(4, 0, parse4(text));
    }

    private static long parse4(final String text) {
        final String[] octets = text.split("\\.", -1);
        if (octets.length != 4) {
            throw new IllegalArgumentException("an IPv4 address has four numbers, like 192.0.2.1");
        }
        long value = 0;
        for (final String octet : octets) {
            if (octet.isEmpty() || octet.length() > 3 || !octet.chars().allMatch(IpAddress::isDigit)) {
                throw new IllegalArgumentException("an IPv4 address has four numbers from 0 to 255");
            }
            if (octet.length() > 1 && octet.charAt(0) == '0') {
                throw new IllegalArgumentException("a leading zero could mean octal; write " + octet + " without it");
            }
            final int number = Integer.parseInt(octet);
            if (number > 0xFF) {
                throw new IllegalArgumentException(number + " is more than 255");
            }
            value = value << 8 | number;
        }
        return value;
    }

    private static IpAddress parse6(final String text) {
        if (text.length() > LONGEST_TEXT) {
            throw new IllegalArgumentException("too long for an IPv6 address");
        }
        final int gap = text.indexOf("::");
        if (gap >= 0 && text.indexOf("::", gap + 1) >= 0) {
            throw new IllegalArgumentException("'::' may stand once");
        }
        final int[] head = groups(gap < 0 ? text : text.substring(0, gap), gap < 0);
        final int[] tail = groups(gap < 0 ? "" : text.substring(gap + 2), true);
        final int written = head.length + tail.length;
        if (gap < 0 ? written != GROUPS : written >= GROUPS) {
            throw new IllegalArgumentException(
                    "an IPv6 address has eight groups, or fewer and one '::' in place of the missing ones");
        }
        final int[] all = new int[GROUPS];
        System.arraycopy(head, 0, all, 0, head.length);
        System.arraycopy(tail, 0, all, GROUPS - tail.length, tail.length);
        return new IpAddress(6, word(all, 0), word(all, GROUPS / 2));
    }

    /** Groups between colons; the last one may be an IPv4 address when these are the last of the whole address. */
    private static int[] groups(final String text, final boolean last) {
        if (text.isEmpty()) {
            return new int[0];
        }
        final String[] words = text.split(":", -1);
        final boolean embedded = last && words[words.length - 1].indexOf('.') >= 0;
        final int[] groups = new int[words.length + (embedded ? 1 : 0)];
        for (int i = 0; i < words.length; i++) {
            if (embedded && i == words.length - 1) {
                final long address4 = parse4(words[i]);
                groups[i] = (int) (address4 >>> GROUP_BITS);
                groups[i + 1] = (int) (address4 & 0xFFFF);
            } else {
                groups[i] = group(words[i]);
            }
        }
        return groups;
    }

    private static int group(final String word) {
        final boolean hex = word.chars().allMatch(c -> isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F');
        if (word.isEmpty() || word.length() > 4 || !hex) {
            throw new IllegalArgumentException("a group of an IPv6 address has one to four hexadecimal digits");
        }
        return Integer.parseInt(word, 16);
    }

    private static long word(final int[] groups, final int from) {
        long word = 0;
        for (int i = from; i < from + GROUPS / 2; i++) {
            word = word << GROUP_BITS | groups[i];
        }
        return word;
    }

    private static boolean isDigit(final int c) {
        return c >= '0' && c <= '9';
    }

    /** The address as one writes it; IPv6 in the form of RFC 5952 §4. */
    @Override
    public String toString() {
        if (version == 4) {
            return (low >>> 24) + "." + (low >>> 16 & 0xFF) + "." + (low >>> 8 & 0xFF) + "." + (low & 0xFF);
        }
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < GROUPS; i++) {
            final long word = i < GROUPS / 2 ? high : low;
            final long group = word >>> (GROUPS / 2 - 1 - i % (GROUPS / 2)) * GROUP_BITS & 0xFFFF;
            text.append(i == 0 ? "" : ":").append(Long.toHexString(group));
        }
        return shortened(text.toString().toLowerCase(Locale.ROOT));
    }

    /** Puts '::' in place of the longest run of two or more zero groups, the first one of equals. */
    private static String shortened(final String full) {
        for (int run = GROUPS; run >= 2; run--) {
            final String zeros = "0:".repeat(run - 1) + "0";
            final int at = (":" + full + ":").indexOf(":" + zeros + ":");
            if (at >= 0) {
                final String before = at == 0 ? "" : full.substring(0, at - 1);
                final String after =
                        at + zeros.length() >= full.length() ? "" : full.substring(at + zeros.length() + 1);
                return before + "::" + after;
            }
        }
        return full;
    }
}

package org.mypervisor.offload.rules;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;

/**
 * Rule files like those that ClassBench makes: prefixes of all lengths out of one tree of addresses, so that they nest and
 * share; ports that are any, well known, or a range; actions mixed. The same seed makes the same rules.
 */
final class SyntheticRules {
    /** How often addresses and ports are left open, in percent. */
    enum Style {
        /** Access lists of a router: mostly one source network to one service. */
        ACCESS(10, 3, 10, 60),
        /** Firewalls: a side is often open. */
        FIREWALL(30, 25, 25, 60),
        /** Networks and hardly anything else. */
        NESTED(1, 1, 0, 0),
        /** Ranges of ports that overlap. */
        PORTS(60, 60, 80, 95),
        /** Hardly a network. */
        WILDCARDS(90, 90, 20, 40);

        private final int anySource;
        private final int anyDestination;
        private final int sourcePort;
        private final int destinationPort;

        Style(final int anySource, final int anyDestination, final int sourcePort, final int destinationPort) {
            this.anySource = anySource;
            this.anyDestination = anyDestination;
            this.sourcePort = sourcePort;
            this.destinationPort = destinationPort;
        }
    }

    private static final int[] WELL_KNOWN = {
        20, 21, 22, 25, 53, 80, 110, 123, 143, 161, 443, 993, 1433, 3306, 5060, 8080
    };
    private static final int[] LENGTHS = {8, 12, 16, 16, 18, 20, 22, 24, 24, 24, 25, 26, 27, 28, 29, 30, 31, 32, 32, 32
    };

    private final Random random;
    private final Style style;
    private final boolean ipv6;
    private final int[][] pool;
    private int open;

    /** A rule and how many bits it leaves open. */
    private record Line(String text, int open) {}

    SyntheticRules(final long seed, final Style style, final boolean ipv6, final int rules) {
        random = new Random(seed);
        this.style = style;
        this.ipv6 = ipv6;
        pool = new int[Math.max(16, rules / 4)][];
        for (int i = 0; i < pool.length; i++) {
            pool[i] = i == 0 ? new int[] {random.nextInt(), random.nextInt()} : branch(pool[random.nextInt(i)]);
        }
    }

    /** An address that begins like another one, as far as some length. */
    private int[] branch(final int[] from) {
        final int length = LENGTHS[random.nextInt(LENGTHS.length - 3)] & ~3;
        final int free = length >= 32 ? 0 : -1 >>> length;
        return new int[] {from[0] & ~free | random.nextInt() & free, random.nextInt(4) > 0 ? from[1] : random.nextInt()
        };
    }

    /** A rule file of so many lines, the narrower rules first, as people write them; without a default. */
    String text(final int rules) {
        final List<Line> lines = new ArrayList<>();
        for (int i = 0; i < rules; i++) {
            open = 0;
            final String text = rule();
            lines.add(new Line(text, open + random.nextInt(16)));
        }
        lines.sort(Comparator.comparingInt(Line::open));
        return lines.stream().map(line -> line.text + "\n").collect(Collectors.joining());
    }

    private String rule() {
        final int kind = random.nextInt(100);
        final boolean ports = kind < 85;
        final String protocol =
                kind < 60 ? "tcp" : ports ? "udp" : kind < 90 ? ipv6 ? "icmp6" : "icmp" : ipv6 ? "ip6" : "ip";
        return (random.nextBoolean() ? "deny " : "allow ") + protocol
                + " from " + network(style.anySource) + (ports ? port(style.sourcePort) : "")
                + " to " + network(style.anyDestination) + (ports ? port(style.destinationPort) : "");
    }

    private String network(final int anyPercent) {
        if (random.nextInt(100) < anyPercent) {
            open += 32;
            return "any";
        }
        final int[] address = pool[random.nextInt(pool.length)];
        final int length = LENGTHS[random.nextInt(LENGTHS.length)];
        open += 32 - length;
        final int network = address[0] & -1 << 32 - length;
        if (ipv6) {
            // 2001:db8::/32, then as deep as an IPv4 prefix would be, or on into the last 64 bits.
            final boolean deep = length == 32 && random.nextBoolean();
            return "2001:db8:%x:%x:%x:%x::/%d"
                    .formatted(
                            network >>> 16,
                            network & 0xFFFF,
                            deep ? address[1] >>> 16 : 0,
                            deep ? address[1] & 0xFFFF : 0,
                            deep ? 96 : 32 + length);
        }
        return (network >>> 24) + "." + (network >>> 16 & 255) + "." + (network >>> 8 & 255) + "." + (network & 255)
                + "/" + length;
    }

    private String port(final int percent) {
        if (random.nextInt(100) >= percent) {
            open += 16;
            return "";
        }
        final int kind = random.nextInt(10);
        if (kind < 5) {
            return " port " + WELL_KNOWN[random.nextInt(WELL_KNOWN.length)];
        }
        if (kind < 6) {
            return " port 80,443,8000-8080";
        }
        if (kind < 8) {
            return random.nextBoolean() ? " port 1024-65535" : " port 0-1023";
        }
        final int a = random.nextInt(65536);
        return kind == 8 ? " port " + a : " port " + a + "-" + (a + random.nextInt(65536 - a));
    }
}

package org.mypervisor.offload.rules;

import java.nio.ByteBuffer;
import java.util.Random;

/**
 * Frames that lie in the corners of rules: each takes its fields from a rule, at or next to an edge of it or anywhere inside,
 * and now and then a field from another rule or from nowhere.
 */
final class RuleTraffic {
    /** Bytes of the longest frame: Ethernet, IPv6, a fragment header, TCP. */
    static final int MOST_BYTES = 14 + 40 + 8 + 20;

    private static final int[] PROTOCOLS = {1, 6, 17, 47, 58};
    private static final int[] TYPES = {0x0806, 0x88CC, 0x88F7, 0x0026};

    private final RuleSet rules;
    private final Random random;
    private final int oddities;

    /** @param oddities percent of frames that are no IP, cut off, or a later fragment */
    RuleTraffic(final RuleSet rules, final long seed, final int oddities) {
        this.rules = rules;
        random = new Random(seed);
        this.oddities = oddities;
    }

    /** Writes a frame and returns its length. */
    int next(final ByteBuffer frame) {
        frame.clear();
        frame.putInt(0x02000000).putShort((short) 2).putInt(0x02000000).putShort((short) 1);
        final boolean odd = random.nextInt(100) < oddities;
        final Rule rule = any();
        if (rule == null || odd && random.nextInt(3) == 0) {
            final int type = rule != null && rule.etherType() != Rule.ANY ? rule.etherType() : pick(TYPES);
            frame.putShort((short) type);
            if (type != Headers.ETHER_TYPE_IPV4 && type != Headers.ETHER_TYPE_IPV6) {
                return frame.position() + 46;
            }
            frame.position(12);
        }
        final int families = rule == null || rule.families() == 0 ? 3 : rule.families();
        final boolean four = families == 3 ? random.nextBoolean() : families == Headers.IPV4;
        final Rule other = random.nextInt(8) == 0 ? any() : rule;
        final boolean fragment = odd && random.nextInt(2) == 0;
        final int protocol = rule != null && rule.protocol() != Rule.ANY && random.nextInt(16) > 0
                ? rule.protocol()
                : pick(PROTOCOLS);
        if (four) {
            ipv4(frame, rule, other, protocol, fragment);
        } else {
            ipv6(frame, rule, other, protocol, fragment);
        }
        frame.putShort((short) port(rule == null ? Rule.Side.ANY : rule.from()));
        frame.putShort((short) port(other == null ? Rule.Side.ANY : other.to()));
        frame.putLong(1).putInt(0x5002FFFF).putInt(0);
        return odd && random.nextInt(3) == 0 ? random.nextInt(frame.position()) : frame.position();
    }

    private Rule any() {
        return rules.size() == 0 ? null : rules.rule(random.nextInt(rules.size()));
    }

    private void ipv4(
            final ByteBuffer frame, final Rule rule, final Rule other, final int protocol, final boolean fragment) {
        frame.putShort((short) Headers.ETHER_TYPE_IPV4).putShort((short) 0x4500).putShort((short) 40);
        frame.putShort((short) 0).putShort((short) (fragment ? 1 + random.nextInt(0x1FFF) : 0));
        frame.put((byte) 64).put((byte) protocol).putShort((short) 0);
        frame.putInt((int) address(rule == null ? IpPrefix.ANY : rule.from().prefix(), false));
        frame.putInt((int) address(other == null ? IpPrefix.ANY : other.to().prefix(), false));
    }

    private void ipv6(
            final ByteBuffer frame, final Rule rule, final Rule other, final int protocol, final boolean fragment) {
        frame.putShort((short) Headers.ETHER_TYPE_IPV6).putInt(0x60000000).putShort((short) (fragment ? 28 : 20));
        frame.put((byte) (fragment ? 44 : protocol)).put((byte) 64);
        final IpPrefix source = rule == null ? IpPrefix.ANY : rule.from().prefix();
        frame.putLong(address(source, true)).putLong(address(source, false));
        final IpPrefix destination = other == null ? IpPrefix.ANY : other.to().prefix();
        frame.putLong(address(destination, true)).putLong(address(destination, false));
        if (fragment) {
            frame.put((byte) protocol)
                    .put((byte) 0)
                    .putShort((short) (1 + random.nextInt(0x1FFF) << 3))
                    .putInt(7);
        }
    }

    /** Half of an address: at the edge of a prefix, one beyond, like another rule's as far as this one leaves open, or any. */
    private long address(final IpPrefix prefix, final boolean high) {
        final long mask = high ? prefix.highMask() : prefix.lowMask();
        final long value = high ? prefix.high() : prefix.low();
        return switch (random.nextInt(8)) {
            case 0 -> value;
            case 1 -> value | ~mask;
            case 2 -> mask == 0 ? random.nextLong() : random.nextBoolean() ? value - 1 : (value | ~mask) + 1;
            case 3 -> value | random.nextLong() & ~mask;
            default -> value | like(prefix, high) & ~mask;
        };
    }

    private long like(final IpPrefix prefix, final boolean high) {
        for (int i = 0; i < 8 && rules.size() > 0; i++) {
            final Rule rule = any();
            final IpPrefix other =
                    random.nextBoolean() ? rule.from().prefix() : rule.to().prefix();
            if (other.length() > prefix.length()) {
                final long mask = high ? other.highMask() : other.lowMask();
                return (high ? other.high() : other.low()) | random.nextLong() & ~mask;
            }
        }
        return random.nextLong();
    }

    private int port(final Rule.Side side) {
        if (side.ports().isEmpty() || random.nextInt(16) == 0) {
            return random.nextInt(65536);
        }
        final Rule.PortRange range =
                side.ports().get(random.nextInt(side.ports().size()));
        return switch (random.nextInt(6)) {
            case 0 -> range.first() - 1;
            case 1 -> range.last() + 1;
            case 2 -> range.first();
            case 3 -> range.last();
            default -> range.first() + random.nextInt(range.last() - range.first() + 1);
        };
    }

    private int pick(final int[] values) {
        return values[random.nextInt(values.length)];
    }
}

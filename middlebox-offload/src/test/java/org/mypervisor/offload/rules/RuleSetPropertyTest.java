package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.mypervisor.offload.Packet;

/**
 * Random rule files and random frames, judged by the whole way from text and bytes, and by a slow model that sees only
 * what the generator meant. Addresses and ports come from few values, so that rules often match and often just miss.
 */
class RuleSetPropertyTest {
    private static final int RULE_SETS = 400;
    private static final int FRAMES_PER_SET = 100;
    private static final int NONE = -1;
    private static final int[] PORTS = {0, 1, 53, 80, 443, 1023, 1024, 65535};
    private static final int[] PROTOCOLS = {1, 6, 17, 47, 58};
    private static final int[] TYPES = {0x0806, 0x88cc, 0x0800, 0x86dd, 0x88f7};

    /** An address as bits: 32 or 128 of them. */
    private record Address(int bits, BigInteger value) {
        String text() {
            final byte[] bytes = HexFormat.of().parseHex(hex(this));
            return bits == 32
                    ? (bytes[0] & 255) + "." + (bytes[1] & 255) + "." + (bytes[2] & 255) + "." + (bytes[3] & 255)
                    : hex(this).replaceAll("(....)(?!$)", "$1:");
        }
    }

    private record Network(Address address, int length) {
        boolean holds(final Address other) {
            final int host = address.bits - length;
            return other.bits == address.bits && other.value.shiftRight(host).equals(address.value.shiftRight(host));
        }
    }

    /** Null networks and empty port lists ask for nothing. */
    private record SideModel(Network network, List<int[]> ports) {
        boolean holds(final Address address, final int port) {
            return (network == null || network.holds(address))
                    && (ports.isEmpty() || ports.stream().anyMatch(p -> port != NONE && p[0] <= port && port <= p[1]));
        }

        String text() {
            final String list = ports.stream()
                    .map(p -> p[0] == p[1] ? "" + p[0] : p[0] + "-" + p[1])
                    .collect(Collectors.joining(","));
            final String address = network == null
                    ? "any"
                    : network.address.text() + (network.length == network.address.bits ? "" : "/" + network.length);
            return address + (ports.isEmpty() ? "" : " port " + list);
        }
    }

    private record RuleModel(
            boolean allow, String word, int type, int bits, int protocol, SideModel from, SideModel to) {
        boolean matches(final FrameModel frame) {
            if (type != NONE) {
                return frame.type == type;
            }
            return frame.source != null
                    && (bits == NONE || frame.source.bits == bits)
                    && (protocol == NONE || frame.protocol == protocol)
                    && from.holds(frame.source, frame.sourcePort)
                    && to.holds(frame.destination, frame.destinationPort);
        }

        String text() {
            final String action = allow ? "allow " : "deny ";
            return action + word + (type != NONE ? "" : " from " + from.text() + " to " + to.text());
        }
    }

    private record FrameModel(
            int type, Address source, Address destination, int protocol, int sourcePort, int destinationPort) {}

    private final Random random = new Random(20260101);
    private final Packet packet = new Packet();
    private final Headers headers = new Headers();
    private final RuleLookup lookup = new RuleLookup(1);

    @Test
    void shouldAgreeWithTheModel() throws RuleFileException {
        int ruleMatches = 0;
        for (int round = 0; round < RULE_SETS; round++) {
            final List<RuleModel> models = new ArrayList<>();
            for (int i = random.nextInt(30); i > 0; i--) {
                models.add(rule());
            }
            final boolean defaultAllow = random.nextBoolean();
            final String text = models.stream().map(RuleModel::text).collect(Collectors.joining("\n")) + "\ndefault "
                    + (defaultAllow ? "allow" : "deny");
            final RuleSet set = RuleFile.parse("random.rules", text);
            for (int i = 0; i < FRAMES_PER_SET; i++) {
                ruleMatches += check(models, defaultAllow, set, text) ? 1 : 0;
            }
        }
        assertTrue(ruleMatches > RULE_SETS * FRAMES_PER_SET / 4, "the generator hits too little: " + ruleMatches);
    }

    private boolean check(
            final List<RuleModel> models, final boolean defaultAllow, final RuleSet set, final String text) {
        final boolean later = random.nextInt(8) == 0;
        final FrameModel written = frame(later);
        final byte[] bytes = bytes(written, later);
        final FrameModel seen = later && written.source != null
                ? new FrameModel(written.type, written.source, written.destination, written.protocol, NONE, NONE)
                : written;
        int expected = models.size();
        for (int i = models.size() - 1; i >= 0; i--) {
            expected = models.get(i).matches(seen) ? i : expected;
        }
        headers.parse(Frames.load(packet, bytes));
        final String story = text + "\nframe " + HexFormat.of().formatHex(bytes);
        assertEquals(expected, lookup.firstMatch(set, headers), story);
        assertEquals(
                expected == models.size() ? defaultAllow : models.get(expected).allow, set.allows(expected), story);
        return expected < models.size();
    }

    private RuleModel rule() {
        final boolean allow = random.nextBoolean();
        final int kind = random.nextInt(10);
        if (kind == 8) {
            return new RuleModel(allow, "arp", 0x0806, NONE, NONE, null, null);
        }
        if (kind == 9) {
            final int type = pick(TYPES);
            return new RuleModel(allow, String.format("ether type 0x%04X", type), type, NONE, NONE, null, null);
        }
        final String[] words = {"any", "ip", "ip6", "tcp", "udp", "icmp", "icmp6", "proto"};
        final int[] bits = {NONE, 32, 128, NONE, NONE, 32, 128, NONE};
        final int number = pick(PROTOCOLS);
        final int[] protocols = {NONE, NONE, NONE, 6, 17, 1, 58, number};
        final String word = words[kind] + (kind == 7 ? " " + number : "");
        final int family = bits[kind] != NONE ? bits[kind] : random.nextBoolean() ? 32 : 128;
        final boolean ports = kind == 3 || kind == 4;
        return new RuleModel(allow, word, NONE, bits[kind], protocols[kind], side(family, ports), side(family, ports));
    }

    private SideModel side(final int bits, final boolean withPorts) {
        Network network = null;
        if (random.nextInt(3) > 0) {
            final Address address = address(bits);
            final int length = random.nextInt(4) == 0 ? bits : random.nextInt(bits + 1);
            final BigInteger fixed = address.value.shiftRight(bits - length).shiftLeft(bits - length);
            network = new Network(new Address(bits, fixed), length);
        }
        final List<int[]> ports = new ArrayList<>();
        if (withPorts) {
            for (int i = random.nextInt(3); i > 0; i--) {
                final int a = pick(PORTS);
                final int b = random.nextBoolean() ? a : pick(PORTS);
                ports.add(new int[] {Math.min(a, b), Math.max(a, b)});
            }
        }
        return new SideModel(network, ports);
    }

    /** One of few addresses that share prefixes of many lengths. */
    private Address address(final int bits) {
        final BigInteger base = new BigInteger(bits == 32 ? "0a000000" : "20010db8000000000000000000000000", 16);
        BigInteger value = base;
        for (int i = random.nextInt(3); i > 0; i--) {
            value = value.flipBit(random.nextInt(bits));
        }
        return new Address(bits, value);
    }

    private FrameModel frame(final boolean later) {
        final int kind = random.nextInt(8);
        if (kind == 0 && !later) {
            final int[] types = {0x0806, 0x88cc, 0x88f7, 0x0026};
            return new FrameModel(pick(types), null, null, NONE, NONE, NONE);
        }
        final int bits = random.nextBoolean() ? 32 : 128;
        final int protocol = pick(PROTOCOLS);
        final boolean ports = protocol == 6 || protocol == 17;
        return new FrameModel(
                bits == 32 ? 0x0800 : 0x86dd,
                address(bits),
                address(bits),
                protocol,
                ports ? pick(PORTS) : NONE,
                ports ? pick(PORTS) : NONE);
    }

    private byte[] bytes(final FrameModel frame, final boolean later) {
        final String tags = "8100000a".repeat(random.nextInt(3));
        final String type = String.format("%04x", frame.type);
        if (frame.source == null) {
            return Frames.ethernet(tags + type, new byte[random.nextInt(50)]);
        }
        final byte[] payload = payload(frame);
        final byte[] padding = new byte[random.nextInt(2) * 6];
        final String source = hex(frame.source);
        final String destination = hex(frame.destination);
        if (frame.source.bits == 32) {
            final int fragment = later ? 1 + random.nextInt(0x1FFF) : 0;
            final byte[] ip = Frames.ipv4Fragment(frame.protocol, source, destination, fragment, payload);
            return Frames.ethernet(tags + type, Frames.join(ip, padding));
        }
        int next = frame.protocol;
        byte[] rest = payload;
        if (later) {
            rest = Frames.join(Frames.fragment(next, 1 + random.nextInt(0x1FFF), random.nextBoolean()), rest);
            next = 44;
        }
        if (random.nextInt(3) == 0) {
            rest = Frames.join(Frames.extension(next, 8), rest);
            next = 60;
        }
        final byte[] ip = Frames.ipv6(next, source, destination, rest);
        return Frames.ethernet(tags + type, Frames.join(ip, padding));
    }

    private static byte[] payload(final FrameModel frame) {
        return switch (frame.protocol) {
            case 6 -> Frames.tcp(frame.sourcePort, frame.destinationPort);
            case 17 -> Frames.udp(frame.sourcePort, frame.destinationPort);
            default -> new byte[8];
        };
    }

    private static String hex(final Address address) {
        return String.format("%0" + address.bits / 4 + "x", address.value);
    }

    private int pick(final int[] values) {
        return values[random.nextInt(values.length)];
    }
}

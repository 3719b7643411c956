package org.mypervisor.offload.rules;

import static org.mypervisor.offload.rules.Rule.ANY;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.mypervisor.offload.rules.Rule.PortRange;
import org.mypervisor.offload.rules.Rule.Side;

/** Understands the words of one rule, left to right, up to the first mistake. One instance reads one line. */
final class RuleParser {
    private static final int BOTH = Headers.IPV4 | Headers.IPV6;
    private static final int MAX_PORT = 65535;
    private static final int MAX_PROTOCOL = 255;

    /** Below it stands the length of an 802.3 frame (IEEE 802.3 §3.2.6). */
    private static final int FIRST_ETHER_TYPE = 0x0600;

    /** What a protocol word stands for. */
    private record Protocol(String name, int families, int number) {
        boolean hasPorts() {
            return name.equals("tcp") || name.equals("udp");
        }
    }

    private static final Map<String, Protocol> PROTOCOLS = Map.of(
            "any", new Protocol("any", BOTH, ANY),
            "ip", new Protocol("ip", Headers.IPV4, ANY),
            "ip6", new Protocol("ip6", Headers.IPV6, ANY),
            "tcp", new Protocol("tcp", BOTH, Headers.TCP),
            "udp", new Protocol("udp", BOTH, Headers.UDP),
            "icmp", new Protocol("icmp", Headers.IPV4, Headers.ICMP),
            "icmp6", new Protocol("icmp6", Headers.IPV6, Headers.ICMP6));
    private static final List<String> ACTIONS = List.of("allow", "deny");
    private static final List<String> FIRST_WORDS = List.of("allow", "deny", "default");
    private static final List<String> WHAT_WORDS =
            List.of("ip", "ip6", "tcp", "udp", "icmp", "icmp6", "arp", "proto", "ether", "any");

    private final Words words;
    private int families;

    RuleParser(final Words words) {
        this.words = words;
    }

    /** Takes the word behind {@code default} and says whether it was {@code allow}. */
    static boolean defaultAction(final Words words) throws WrongWordException {
        if (!ACTIONS.contains(words.peek())) {
            throw words.wrong("expected 'allow' or 'deny' after 'default', not " + words.quoted()
                    + Mistake.suggest(words.peek(), ACTIONS));
        }
        return words.next().equals("allow");
    }

    Rule rule(final int line) throws WrongWordException {
        if (!ACTIONS.contains(words.peek())) {
            throw words.wrong("unknown word " + words.quoted() + ": a line begins with 'allow', 'deny' or 'default'"
                    + Mistake.suggest(words.peek(), FIRST_WORDS));
        }
        final boolean allow = words.next().equals("allow");
        if (words.peek().equals("arp") || words.peek().equals("ether")) {
            return new Rule(allow, etherType(), Headers.NOT_IP, ANY, Side.ANY, Side.ANY, line, words.text());
        }
        final Protocol protocol = protocol();
        families = protocol.families;
        final Side from = side("from", protocol);
        final Side to = side("to", protocol);
        words.expectEnd("a rule ends behind its destination; write one rule a line"
                + Mistake.suggest(words.peek(), List.of("port")));
        return new Rule(allow, ANY, families, protocol.number, from, to, line, words.text());
    }

    private int etherType() throws WrongWordException {
        final boolean arp = words.next().equals("arp");
        int type = Headers.ETHER_TYPE_ARP;
        if (!arp) {
            if (!words.peek().equals("type")) {
                throw words.wrong("expected 'type' after 'ether', not " + words.quoted()
                        + "; write for example: ether type 0x88cc");
            }
            words.next();
            type = etherTypeNumber();
        }
        words.expectEnd((arp ? "'arp'" : "'ether type'")
                + " takes no from, to or port, because it is judged by the ether type alone; remove the rest");
        return type;
    }

    private int etherTypeNumber() throws WrongWordException {
        final String text = words.peek();
        if (!text.matches("0x[0-9a-fA-F]{1,4}")) {
            throw words.wrong(
                    "expected an ether type of up to four hexadecimal digits like 0x88cc, not " + words.quoted());
        }
        final int type = Integer.parseInt(text.substring(2), 16);
        if (type < FIRST_ETHER_TYPE) {
            throw words.wrong(
                    Mistake.quote(text) + " is a frame length, not an ether type: ether types begin at 0x0600");
        }
        if (type == Headers.ETHER_TYPE_8021Q || type == Headers.ETHER_TYPE_8021AD) {
            throw words.wrong(Mistake.quote(text)
                    + " could never match, because VLAN tags are looked through; name the type behind the tag");
        }
        words.next();
        return type;
    }

    private Protocol protocol() throws WrongWordException {
        final String word = words.peek();
        if (word.equals("proto")) {
            words.next();
            final int number = number(words.peek(), MAX_PROTOCOL);
            if (number == ANY) {
                throw words.wrong("expected a protocol number from 0 to 255 after 'proto', not " + words.quoted());
            }
            words.next();
            return new Protocol("proto " + number, BOTH, number);
        }
        final Protocol protocol = PROTOCOLS.get(word);
        if (protocol == null) {
            throw words.wrong("expected what to match, one of " + String.join(", ", WHAT_WORDS) + "; not "
                    + words.quoted() + Mistake.suggest(word, WHAT_WORDS));
        }
        words.next();
        return protocol;
    }

    private Side side(final String keyword, final Protocol protocol) throws WrongWordException {
        if (!words.peek().equals(keyword)) {
            throw words.wrong("expected '" + keyword + "', not " + words.quoted() + ": '" + protocol.name
                    + "' needs 'from ADDRESS to ADDRESS', where ADDRESS may be 'any'"
                    + Mistake.suggest(words.peek(), List.of(keyword)));
        }
        words.next();
        if (words.atEnd() || words.peek().equals("to") || words.peek().equals("port")) {
            throw words.wrong(
                    "expected an address after '" + keyword + "', not " + words.quoted() + "; write 'any' for all");
        }
        final IpPrefix prefix;
        try {
            prefix = IpPrefix.parse(words.peek());
        } catch (final IllegalArgumentException e) {
            throw words.wrong(e.getMessage());
        }
        narrow(prefix, protocol);
        words.next();
        return new Side(prefix, words.peek().equals("port") ? ports(protocol) : List.of());
    }

    /** An address tells which IP version the rule means; it must be one that the words before left possible. */
    private void narrow(final IpPrefix prefix, final Protocol protocol) throws WrongWordException {
        if (prefix.version() == 0) {
            return;
        }
        final int family = prefix.version() == 4 ? Headers.IPV4 : Headers.IPV6;
        if ((protocol.families & family) == 0) {
            throw words.wrong(Mistake.quote(words.peek()) + " is IPv" + prefix.version() + ", but '" + protocol.name
                    + "' matches IPv" + (prefix.version() == 4 ? "6" : "4") + " only; change one of them");
        }
        if ((families & family) == 0) {
            throw words.wrong(Mistake.quote(words.peek()) + " is IPv" + prefix.version()
                    + ", but the source is not: no frame has both; use addresses of one version");
        }
        families = family;
    }

    private List<PortRange> ports(final Protocol protocol) throws WrongWordException {
        if (!protocol.hasPorts()) {
            throw words.wrong("'" + protocol.name + "' has no ports that a rule could name; use 'tcp' or 'udp'");
        }
        words.next();
        final String list = words.peek();
        if (words.atEnd() || list.equals("to")) {
            throw words.wrong(
                    "expected ports after 'port', not " + words.quoted() + "; write for example 80,443,1024-65535");
        }
        final List<PortRange> ranges = new ArrayList<>();
        int column = 0;
        for (final String item : list.split(",", -1)) {
            ranges.add(range(item, words.place().plus(column)));
            column += item.length() + 1;
        }
        words.next();
        return List.copyOf(ranges);
    }

    private PortRange range(final String item, final Place place) throws WrongWordException {
        if (item.isEmpty()) {
            throw words.wrong(place, "a port is missing in the list; write for example 80,443 without blanks");
        }
        final int dash = item.indexOf('-');
        final int first = port(dash < 0 ? item : item.substring(0, dash), place);
        final int last = dash < 0 ? first : port(item.substring(dash + 1), place.plus(dash + 1));
        if (first > last) {
            throw words.wrong(
                    place, "the range " + Mistake.quote(item) + " runs backwards; write " + last + "-" + first);
        }
        return new PortRange(first, last);
    }

    private int port(final String text, final Place place) throws WrongWordException {
        final int port = number(text, MAX_PORT);
        if (port == ANY) {
            throw words.wrong(place, Mistake.quote(text) + " is not a port: a number from 0 to 65535");
        }
        return port;
    }

    /** A decimal number from 0 to the limit, or {@link Rule#ANY} if the text is none. */
    static int number(final String text, final int limit) {
        if (!text.matches("[0-9]{1,5}")) {
            return ANY;
        }
        final int number = Integer.parseInt(text);
        return number <= limit ? number : ANY;
    }
}

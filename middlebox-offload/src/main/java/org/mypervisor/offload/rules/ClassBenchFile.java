package org.mypervisor.offload.rules;

import java.util.ArrayList;
import java.util.List;
import org.mypervisor.offload.rules.Rule.PortRange;
import org.mypervisor.offload.rules.Rule.Side;

/**
 * Reads filter sets of ClassBench (Taylor and Turner, 2005) for {@code filter(rules=FILE,format=classbench)}:
 *
 * <pre>
 * @10.0.0.0/8   192.168.1.0/24   0 : 65535   80 : 80   0x06/0xFF   0x0000/0x0000
 *  source       destination      its ports   ports     protocol    TCP flags
 * </pre>
 *
 * <p>The rules say nothing about what to do with a frame: {@link RuleFormat} does. Ports from 0 to 65535 ask for none. TCP
 * flags may be left out; they are checked to be well-formed and otherwise ignored. Comments are as in {@link RuleFile}. One
 * instance reads one file, on a control thread.
 */
final class ClassBenchFile {
    private static final int MAX_PORT = 65535;

    private final RuleFormat format;
    private final List<Rule> rules = new ArrayList<>();

    private ClassBenchFile(final RuleFormat format) {
        this.format = format;
    }

    static RuleSet parse(final String source, final String text, final RuleFormat format) throws RuleFileException {
        final ClassBenchFile file = new ClassBenchFile(format);
        RuleLines.read(source, text, file::line);
        return new RuleSet(file.rules, format.allowsOthers());
    }

    private void line(final Words words, final int number) throws WrongWordException {
        if (!words.peek().startsWith("@")) {
            throw words.wrong("expected '@' and the source, not " + words.quoted()
                    + ": a line is @SOURCE DESTINATION LOW : HIGH LOW : HIGH PROTOCOL/MASK [FLAGS/MASK]");
        }
        final IpPrefix source = prefix(words, "source", 1);
        final IpPrefix destination = prefix(words, "destination", 0);
        if (source.version() != destination.version()) {
            throw words.wrong("source and destination are of different IP versions: no frame has both");
        }
        final List<PortRange> sourcePorts = ports(words, "source");
        final List<PortRange> destinationPorts = ports(words, "destination");
        final int protocol = protocol(words);
        if (!words.atEnd()) {
            flags(words);
        }
        words.expectEnd("a rule ends behind its flags; write one rule a line");
        rules.add(new Rule(
                format.allows(rules.size()),
                Rule.ANY,
                source.version() == 4 ? Headers.IPV4 : Headers.IPV6,
                protocol,
                new Side(source, sourcePorts),
                new Side(destination, destinationPorts),
                number,
                words.text()));
    }

    private static IpPrefix prefix(final Words words, final String side, final int skipped) throws WrongWordException {
        if (words.atEnd() || words.peek().indexOf('/') < 0) {
            throw words.wrong("expected the " + side + " as ADDRESS/LENGTH, not " + words.quoted());
        }
        try {
            final IpPrefix prefix = IpPrefix.parse(words.peek().substring(skipped));
            words.next();
            return prefix;
        } catch (final IllegalArgumentException e) {
            throw words.wrong(words.place().plus(skipped), e.getMessage());
        }
    }

    private static List<PortRange> ports(final Words words, final String side) throws WrongWordException {
        final Place start = words.place();
        final int low = port(words, side);
        if (!words.peek().equals(":")) {
            throw words.wrong("expected ':' between the " + side + "'s first and last port, not " + words.quoted());
        }
        words.next();
        final int high = port(words, side);
        if (low > high) {
            throw words.wrong(start, "the range runs backwards; write " + high + " : " + low);
        }
        return low == 0 && high == MAX_PORT ? List.of() : List.of(new PortRange(low, high));
    }

    private static int port(final Words words, final String side) throws WrongWordException {
        final int port = RuleParser.number(words.peek(), MAX_PORT);
        if (port == Rule.ANY) {
            throw words.wrong("expected a port of the " + side + " from 0 to 65535, not " + words.quoted());
        }
        words.next();
        return port;
    }

    private static int protocol(final Words words) throws WrongWordException {
        final String word = words.peek();
        if (!word.matches("0x[0-9a-fA-F]{1,2}/0x([fF]{2}|0{1,2})")) {
            throw words.wrong("expected the protocol as 0x06/0xFF, or 0x00/0x00 for any, not " + words.quoted());
        }
        words.next();
        final int slash = word.indexOf('/');
        final boolean any = word.endsWith("0");
        return any ? Rule.ANY : Integer.parseInt(word.substring(2, slash), 16);
    }

    private static void flags(final Words words) throws WrongWordException {
        if (!words.peek().matches("0x[0-9a-fA-F]{1,4}/0x[0-9a-fA-F]{1,4}")) {
            throw words.wrong("expected TCP flags as 0x0000/0x0000, not " + words.quoted());
        }
        words.next();
    }
}

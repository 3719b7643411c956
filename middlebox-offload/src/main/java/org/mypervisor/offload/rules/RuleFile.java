package org.mypervisor.offload.rules;

import java.util.ArrayList;
import java.util.List;

/**
 * Reads the rule language of {@code filter(rules=FILE)}: one rule a line, the first match wins.
 *
 * <pre>
 * file     = { line newline }
 * line     = [ rule | default ] [ "#" comment ]
 * default  = "default" ( "allow" | "deny" )                   last line; without it: default allow
 * rule     = ( "allow" | "deny" ) what
 * what     = "arp" | "ether" "type" 0xNNNN | protocol "from" side "to" side
 * protocol = "ip" | "ip6" | "tcp" | "udp" | "icmp" | "icmp6" | "any" | "proto" 0..255
 * side     = ( "any" | ADDRESS | ADDRESS "/" LENGTH ) [ "port" ports ]     ports with tcp and udp only
 * ports    = range { "," range }        range = 0..65535 [ "-" 0..65535 ]
 * </pre>
 *
 * <p>Words are in lower case, separated by blanks or tabs. {@code ip}, {@code icmp} and {@code arp} are IPv4,
 * {@code ip6} and {@code icmp6} IPv6, all others both unless an address says which. Every mistake of a file is reported,
 * the first one of each line. One instance reads one file, on a control thread.
 */
public final class RuleFile {
    private static final int NOT_SEEN = 0;

    private final List<Rule> rules = new ArrayList<>();
    private boolean defaultAllow = true;
    private int defaultLine = NOT_SEEN;
    private boolean complainedAfterDefault;

    private RuleFile() {}

    /** Compiles rules from text; the source is the name to print in mistakes. */
    public static RuleSet parse(final String source, final String text) throws RuleFileException {
        final RuleFile file = new RuleFile();
        RuleLines.read(source, text, file::line);
        return new RuleSet(file.rules, file.defaultAllow);
    }

    private void line(final Words words, final int number) throws WrongWordException {
        if (words.peek().equals("default")) {
            defaultRule(words, number);
        } else if (defaultLine != NOT_SEEN) {
            afterDefault(words);
        } else {
            rules.add(new RuleParser(words).rule(number));
        }
    }

    private void defaultRule(final Words words, final int number) throws WrongWordException {
        if (defaultLine != NOT_SEEN) {
            throw words.wrong("a second default; the first one is in line " + defaultLine + ", remove one of them");
        }
        defaultLine = number;
        words.next();
        defaultAllow = RuleParser.defaultAction(words);
        words.expectEnd("'default' stands for every other frame and takes nothing more");
    }

    /** One complaint is enough: where a default slipped in, all the rest of the file follows it. */
    private void afterDefault(final Words words) throws WrongWordException {
        if (!complainedAfterDefault) {
            complainedAfterDefault = true;
            throw words.wrong("a rule after the default of line " + defaultLine
                    + " could never match; move the default to the end of the file");
        }
    }
}

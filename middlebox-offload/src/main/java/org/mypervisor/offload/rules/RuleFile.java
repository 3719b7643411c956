package org.mypervisor.offload.rules;

import java.nio.file.Path;
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
    /** Characters; longer lines are refused before anybody tries to understand them. */
    static final int MAX_LINE = 4096;

    private static final int NOT_SEEN = 0;

    private final String source;
    private final Mistakes mistakes = new Mistakes();
    private final List<Rule> rules = new ArrayList<>();
    private boolean defaultAllow = true;
    private int defaultLine = NOT_SEEN;
    private boolean complainedAfterDefault;

    private RuleFile(final String source) {
        this.source = source;
    }

    /**
     * Reads and compiles a file. Places in mistakes are named after the path as given.
     *
     * @throws RuleFileException if it cannot be read or any line of it is wrong
     */
    public static RuleSet load(final Path file) throws RuleFileException {
        return parse(file.toString(), SourceText.read(file));
    }

    /** Compiles rules from text; the source is the name to print in mistakes. */
    public static RuleSet parse(final String source, final String text) throws RuleFileException {
        return new RuleFile(source).parse(text);
    }

    private RuleSet parse(final String text) throws RuleFileException {
        int number = 1;
        for (int start = 0; start <= text.length(); number++) {
            final int newline = text.indexOf('\n', start);
            final int end = newline < 0 ? text.length() : newline;
            final boolean carriageReturn = end > start && text.charAt(end - 1) == '\r';
            line(number, text.substring(start, carriageReturn ? end - 1 : end));
            start = end + 1;
        }
        if (!mistakes.isEmpty()) {
            throw new RuleFileException(mistakes.list());
        }
        return new RuleSet(rules, defaultAllow);
    }

    private void line(final int number, final String line) {
        final Place start = new Place(source, number, 1);
        if (line.length() > MAX_LINE) {
            mistakes.add(
                    start.plus(MAX_LINE),
                    "the line has " + line.length() + " characters, more than " + MAX_LINE
                            + "; write several rules with fewer ports each");
            return;
        }
        final Words words = new Words(start, line);
        if (words.atEnd()) {
            return;
        }
        try {
            if (words.peek().equals("default")) {
                defaultRule(words, number);
            } else if (defaultLine != NOT_SEEN) {
                afterDefault(words);
            } else {
                rules.add(new RuleParser(words).rule(number));
            }
        } catch (final WrongWordException e) {
            mistakes.add(e.mistake());
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

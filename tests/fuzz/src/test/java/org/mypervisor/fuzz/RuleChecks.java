package org.mypervisor.fuzz;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.mypervisor.offload.rules.Headers;
import org.mypervisor.offload.rules.Rule;
import org.mypervisor.offload.rules.RuleLookup;
import org.mypervisor.offload.rules.RuleSet;
import org.mypervisor.virtqueue.RawMemory;

/** What must hold of all rules, whatever file they came from. */
final class RuleChecks {
    static final int LONGEST_FRAME = 128;

    private static final long END = GuardedPages.allocate(GuardedPages.PAGE) + GuardedPages.PAGE;

    private RuleChecks() {}

    /** The lines that the rules themselves would write, the first ones of them. */
    static String text(final RuleSet rules, final int lines) {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < lines; i++) {
            text.append(rules.text(i)).append('\n');
        }
        return text.toString();
    }

    /** What was read from their text is the same. */
    static void compare(final RuleSet rules, final RuleSet again) {
        assertEquals(rules.size(), again.size());
        for (int i = 0; i < rules.size(); i++) {
            assertEquals(atLine(rules.rule(i), i + 1), again.rule(i));
        }
        assertEquals(rules.allows(rules.size()), again.allows(again.size()));
        assertEquals(rules.namesL4(), again.namesL4());
    }

    private static Rule atLine(final Rule rule, final int line) {
        return new Rule(
                rule.allow(),
                rule.etherType(),
                rule.families(),
                rule.protocol(),
                rule.from(),
                rule.to(),
                line,
                rule.text());
    }

    /** Both find the same in a frame, which ends where an inaccessible page begins. */
    static void judge(final RuleSet rules, final RuleSet again, final byte[] frame) {
        final long address = END - frame.length;
        for (int i = 0; i < frame.length; i++) {
            RawMemory.putU8(address + i, frame[i]);
        }
        final Headers headers = new Headers();
        headers.parse(address, frame.length);
        final RuleLookup lookup = new RuleLookup(1);
        final int match = lookup.firstMatch(rules, headers);
        assertTrue(RuleSet.UNPARSABLE <= match && match <= rules.size());
        assertEquals(match, lookup.firstMatch(again, headers));
        assertTrue(match != RuleSet.UNPARSABLE || !headers.parsable());
    }
}

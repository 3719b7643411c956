package org.mypervisor.fuzz;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.Map;
import org.mypervisor.offload.rules.Headers;
import org.mypervisor.offload.rules.Rule;
import org.mypervisor.offload.rules.RuleFile;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.RuleSet;
import org.mypervisor.offload.rules.SourceText;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Whatever a rule file holds: it is refused at places that exist, or becomes rules that say of themselves what they are
 * and judge any frame.
 */
class RuleFuzzTest {
    private static final String SOURCE = "fuzzed.rules";
    private static final int LONGEST_FRAME = 128;

    /** A frame ends where an inaccessible page begins. */
    private static final class Frames {
        static final long END = GuardedPages.allocate(GuardedPages.PAGE) + GuardedPages.PAGE;
    }

    @FuzzTest(maxDuration = "8s")
    void rulesAreRefusedWithAPlaceOrJudgeAnyFrame(final FuzzedDataProvider data) throws RuleFileException {
        final byte[] frame = data.consumeBytes(data.consumeInt(0, LONGEST_FRAME));
        final byte[] file = data.consumeRemainingAsBytes();
        final RuleSet rules;
        try {
            rules = RuleFile.parse(SOURCE, SourceText.decode(SOURCE, file));
        } catch (final RuleFileException e) {
            Places.check(e.mistakes(), Map.of(SOURCE, Places.ofFile(file, "\n")));
            return;
        }
        final RuleSet again = RuleFile.parse(SOURCE, text(rules));
        compare(rules, again);
        judge(rules, again, frame);
    }

    /** The file that the rules themselves would write. */
    private static String text(final RuleSet rules) {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i <= rules.size(); i++) {
            text.append(rules.text(i)).append('\n');
        }
        return text.toString();
    }

    private static void compare(final RuleSet rules, final RuleSet again) {
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

    private static void judge(final RuleSet rules, final RuleSet again, final byte[] frame) {
        final long address = Frames.END - frame.length;
        for (int i = 0; i < frame.length; i++) {
            RawMemory.putU8(address + i, frame[i]);
        }
        final Headers headers = new Headers();
        headers.parse(address, frame.length);
        final int match = rules.firstMatch(headers);
        assertTrue(RuleSet.UNPARSABLE <= match && match <= rules.size());
        assertEquals(match, again.firstMatch(headers));
        assertTrue(match != RuleSet.UNPARSABLE || !headers.parsable());
    }
}

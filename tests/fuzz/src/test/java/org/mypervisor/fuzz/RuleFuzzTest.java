package org.mypervisor.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.Map;
import org.mypervisor.offload.rules.RuleFile;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.RuleSet;
import org.mypervisor.offload.rules.SourceText;

/**
 * Whatever a rule file holds: it is refused at places that exist, or becomes rules that say of themselves what they are
 * and judge any frame.
 */
class RuleFuzzTest {
    private static final String SOURCE = "fuzzed.rules";

    @FuzzTest(maxDuration = "8s")
    void rulesAreRefusedWithAPlaceOrJudgeAnyFrame(final FuzzedDataProvider data) throws RuleFileException {
        final byte[] frame = data.consumeBytes(data.consumeInt(0, RuleChecks.LONGEST_FRAME));
        final byte[] file = data.consumeRemainingAsBytes();
        final RuleSet rules;
        try {
            rules = RuleFile.parse(SOURCE, SourceText.decode(SOURCE, file));
        } catch (final RuleFileException e) {
            Places.check(e.mistakes(), Map.of(SOURCE, Places.ofFile(file, "\n")));
            return;
        }
        final RuleSet again = RuleFile.parse(SOURCE, RuleChecks.text(rules, rules.size() + 1));
        RuleChecks.compare(rules, again);
        RuleChecks.judge(rules, again, frame);
    }
}

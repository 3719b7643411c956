package org.mypervisor.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.util.Map;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.RuleFormat;
import org.mypervisor.offload.rules.RuleSet;
import org.mypervisor.offload.rules.SourceText;

/** Whatever a ClassBench filter set holds: what {@link RuleFuzzTest} asks of our own rule files. */
class ClassBenchFuzzTest {
    private static final String SOURCE = "fuzzed.classbench";

    @FuzzTest(maxDuration = "8s")
    void filterSetsAreRefusedWithAPlaceOrJudgeAnyFrame(final FuzzedDataProvider data) throws RuleFileException {
        final RuleFormat format = data.pickValue(new RuleFormat[] {
            RuleFormat.CLASSBENCH_DENY, RuleFormat.CLASSBENCH_ALLOW, RuleFormat.CLASSBENCH_ALTERNATE
        });
        final byte[] frame = data.consumeBytes(data.consumeInt(0, RuleChecks.LONGEST_FRAME));
        final byte[] file = data.consumeRemainingAsBytes();
        final RuleSet rules;
        try {
            rules = format.parse(SOURCE, SourceText.decode(SOURCE, file));
        } catch (final RuleFileException e) {
            Places.check(e.mistakes(), Map.of(SOURCE, Places.ofFile(file, "\n")));
            return;
        }
        final RuleSet again = format.parse(SOURCE, RuleChecks.text(rules, rules.size()));
        RuleChecks.compare(rules, again);
        RuleChecks.judge(rules, again, frame);
    }
}

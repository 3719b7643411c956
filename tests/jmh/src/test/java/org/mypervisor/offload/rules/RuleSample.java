package org.mypervisor.offload.rules;

import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Synthetic access lists, and frames at the edges of their rules and inside, as {@code tests/bench/classifier.sh} has them;
 * but all rules allow, so that no frame ends early and all cost the same.
 */
public final class RuleSample {
    private static final int RULES_SEED = 7;
    private static final int TRAFFIC_SEED = 9;

    private final RuleSet rules;
    private final RuleTraffic traffic;
    private final ByteBuffer frame = ByteBuffer.allocate(RuleTraffic.MOST_BYTES);

    public RuleSample(final int count) throws RuleFileException {
        final SyntheticRules.Style style = SyntheticRules.Style.ACCESS;
        final String text = new SyntheticRules(RULES_SEED, style, false, count).text(count);
        rules = RuleFile.parse("synthetic", text.replace("deny ", "allow ") + "default allow\n");
        traffic = new RuleTraffic(rules, TRAFFIC_SEED, 0);
    }

    public RuleSet rules() {
        return rules;
    }

    /** A frame of another flow. */
    public byte[] nextFrame() {
        final int length = traffic.next(frame);
        return Arrays.copyOf(frame.array(), length);
    }
}

package org.mypervisor.offload;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.stream.IntStream;
import org.mypervisor.offload.rules.Headers;
import org.mypervisor.offload.rules.RuleLookup;
import org.mypervisor.offload.rules.RuleSet;
import org.mypervisor.virtqueue.BufferBurst;

/**
 * {@code filter(rules=FILE)}: passes or ends a frame by the first rule of a file that matches it; stateless, and for
 * the one direction whose path it stands in. The language is described at
 * {@link org.mypervisor.offload.rules.RuleFile}; {@code format=classbench} and {@code action} at
 * {@link org.mypervisor.offload.rules.RuleFormat}.
 *
 * <p>Needs: the headers, in the snapshot. Changes nothing. Drops: {@code denied}, and {@code unparsable} where the
 * headers end before what the rules ask for. Example: {@code client -> filter(rules=acl.rules) -> server}.
 *
 * <p>Owned by one worker. Any thread may call {@link #use} and {@link #hits}.
 */
public final class FilterElement implements Element {
    private static final VarHandle COUNTER = MethodHandles.arrayElementVarHandle(long[].class);
    private static final int DENIED = DropReason.DENIED.ordinal();
    private static final int UNPARSABLE = DropReason.UNPARSABLE.ordinal();

    /** Rules and their counters are exchanged together: {@code hits} has one counter a rule and one for the default. */
    private record Rules(RuleSet set, long[] hits) {}

    private final Headers headers = new Headers();
    private final RuleLookup lookup = new RuleLookup(BufferBurst.MOST);
    private volatile Rules rules;

    public FilterElement(final RuleSet rules) {
        use(rules);
    }

    /** Judges by these rules from the next burst on. Their counters begin at zero. */
    public void use(final RuleSet newRules) {
        rules = new Rules(newRules, new long[newRules.size() + 1]);
    }

    @Override
    public int process(final Packet packet) {
        final Rules current = rules;
        headers.parse(packet);
        return judge(current, lookup.firstMatch(current.set, headers));
    }

    @Override
    public void processAll(final Packet[] packets, final int count, final int[] verdicts) {
        final Rules current = rules;
        lookup.begin();
        for (int i = 0; i < count; i++) {
            if (verdicts[i] == PASS) {
                headers.parse(packets[i]);
                lookup.add(current.set, headers);
            }
        }
        lookup.find(current.set);
        int frame = 0;
        for (int i = 0; i < count; i++) {
            if (verdicts[i] == PASS) {
                verdicts[i] = judge(current, lookup.match(frame++));
            }
        }
    }

    private static int judge(final Rules current, final int match) {
        if (match == RuleSet.UNPARSABLE) {
            return UNPARSABLE;
        }
        current.hits[match]++;
        return current.set.allows(match) ? PASS : DENIED;
    }

    @Override
    public String name() {
        return "filter";
    }

    /** The hits of the rules now in force, in their order, the default's last. */
    public List<RuleHits> hits() {
        final Rules current = rules;
        return IntStream.range(0, current.hits.length)
                .mapToObj(i -> new RuleHits(current.set.text(i), (long) COUNTER.getOpaque(current.hits, i)))
                .toList();
    }

    public RuleSet rules() {
        return rules.set;
    }

    /** How many frames a rule judged, being the first that matched them. */
    public record RuleHits(String rule, long frames) {}
}

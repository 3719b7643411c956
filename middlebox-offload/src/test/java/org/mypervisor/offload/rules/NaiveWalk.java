package org.mypervisor.offload.rules;

import java.util.List;
import java.util.stream.IntStream;

/** What rules mean, told one rule after the other from the rules as parsed: slow, and nothing of it is compiled. */
final class NaiveWalk {
    private final List<Rule> rules;
    private final int neededDepth;

    NaiveWalk(final RuleSet set) {
        rules = IntStream.range(0, set.size()).mapToObj(set::rule).toList();
        neededDepth = rules.stream().mapToInt(NaiveWalk::neededDepth).max().orElse(Headers.DEPTH_NONE);
    }

    private static int neededDepth(final Rule rule) {
        if (rule.protocol() != Rule.ANY
                || !rule.from().ports().isEmpty()
                || !rule.to().ports().isEmpty()) {
            return Headers.DEPTH_TRANSPORT;
        }
        return rule.from().prefix().length() + rule.to().prefix().length() > 0
                ? Headers.DEPTH_NETWORK
                : Headers.DEPTH_ETHERNET;
    }

    int firstMatch(final Headers headers) {
        if (headers.depth() < neededDepth) {
            return RuleSet.UNPARSABLE;
        }
        for (int i = 0; i < rules.size(); i++) {
            if (matches(rules.get(i), headers)) {
                return i;
            }
        }
        return rules.size();
    }

    private static boolean matches(final Rule rule, final Headers headers) {
        if (rule.etherType() != Rule.ANY) {
            return rule.etherType() == headers.etherType();
        }
        return (rule.families() & headers.family()) != 0
                && (rule.protocol() == Rule.ANY || rule.protocol() == headers.protocol())
                && holds(rule.from(), headers.sourceHigh(), headers.sourceLow(), headers.sourcePort())
                && holds(rule.to(), headers.destinationHigh(), headers.destinationLow(), headers.destinationPort());
    }

    private static boolean holds(final Rule.Side side, final long high, final long low, final int port) {
        final IpPrefix prefix = side.prefix();
        if ((high & prefix.highMask()) != prefix.high() || (low & prefix.lowMask()) != prefix.low()) {
            return false;
        }
        for (final Rule.PortRange range : side.ports()) {
            if (range.first() <= port && port <= range.last()) {
                return true;
            }
        }
        return side.ports().isEmpty();
    }
}

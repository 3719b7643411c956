package org.mypervisor.offload.rules;

import java.util.List;
import org.mypervisor.offload.rules.Rule.PortRange;

/** The ports of rules that name several ranges on a side. Immutable. */
final class PortLists {
    private static final int[] NONE = {};

    /** A rule's row of first and last ports in turn; empty if it names none. */
    private final int[][] source;

    private final int[][] destination;

    PortLists(final List<Rule> rules) {
        source = rules.stream().map(rule -> ports(rule.from().ports())).toArray(int[][]::new);
        destination = rules.stream().map(rule -> ports(rule.to().ports())).toArray(int[][]::new);
    }

    private static int[] ports(final List<PortRange> ranges) {
        if (ranges.isEmpty()) {
            return NONE;
        }
        final int[] row = new int[ranges.size() * 2];
        int i = 0;
        for (final PortRange range : ranges) {
            row[i++] = range.first();
            row[i++] = range.last();
        }
        return row;
    }

    /** Whether the ports in a key's last word are among those of a rule. */
    boolean hold(final int rule, final long transport) {
        return holds(source[rule], KeyLayout.sourcePort(transport))
                && holds(destination[rule], KeyLayout.destinationPort(transport));
    }

    /** What stands for a port that a frame does not have is in no range. */
    private static boolean holds(final int[] ranges, final int port) {
        for (int i = 0; i < ranges.length; i += 2) {
            if (ranges[i] <= port && port <= ranges[i + 1]) {
                return true;
            }
        }
        return ranges.length == 0;
    }
}

package org.mypervisor.offload.rules;

import java.util.List;
import org.mypervisor.offload.rules.Rule.PortRange;
import org.mypervisor.offload.rules.Rule.Side;

/**
 * Rules compiled for judging frames: the first one that matches wins, else the default. Immutable, so that any number
 * of workers may share one. {@link #firstMatch} allocates nothing; everything else belongs to control threads.
 */
public final class RuleSet {
    /** {@link #firstMatch} of a frame whose headers could not be read as far as these rules look. */
    public static final int UNPARSABLE = -1;

    // One row of eight words a rule, in the order in which they are compared.
    private static final int ROW = 8;
    private static final int SOURCE_HIGH = 0;
    private static final int SOURCE_HIGH_MASK = 1;
    private static final int SOURCE_LOW = 2;
    private static final int SOURCE_LOW_MASK = 3;
    private static final int DESTINATION_HIGH = 4;
    private static final int DESTINATION_HIGH_MASK = 5;
    private static final int DESTINATION_LOW = 6;
    private static final int DESTINATION_LOW_MASK = 7;

    private final List<Rule> rules;
    private final boolean[] allows;
    private final int neededDepth;
    private final int[] etherTypes;
    private final int[] families;
    private final int[] protocols;
    private final long[] addresses;
    /** A rule's row of first and last ports in turn; empty if it names none. */
    private final int[][] sourcePorts;

    private final int[][] destinationPorts;

    RuleSet(final List<Rule> rules, final boolean defaultAllow) {
        final int count = rules.size();
        this.rules = List.copyOf(rules);
        allows = new boolean[count + 1];
        allows[count] = defaultAllow;
        etherTypes = new int[count];
        families = new int[count];
        protocols = new int[count];
        addresses = new long[count * ROW];
        sourcePorts = new int[count][];
        destinationPorts = new int[count][];
        int depth = Headers.DEPTH_NONE;
        for (int i = 0; i < count; i++) {
            compile(i, rules.get(i));
            depth = Math.max(depth, neededDepth(rules.get(i)));
        }
        neededDepth = depth;
    }

    private void compile(final int index, final Rule rule) {
        allows[index] = rule.allow();
        etherTypes[index] = rule.etherType();
        families[index] = rule.families();
        protocols[index] = rule.protocol();
        final int row = index * ROW;
        final IpPrefix source = rule.from().prefix();
        addresses[row + SOURCE_HIGH] = source.high();
        addresses[row + SOURCE_HIGH_MASK] = source.highMask();
        addresses[row + SOURCE_LOW] = source.low();
        addresses[row + SOURCE_LOW_MASK] = source.lowMask();
        final IpPrefix destination = rule.to().prefix();
        addresses[row + DESTINATION_HIGH] = destination.high();
        addresses[row + DESTINATION_HIGH_MASK] = destination.highMask();
        addresses[row + DESTINATION_LOW] = destination.low();
        addresses[row + DESTINATION_LOW_MASK] = destination.lowMask();
        sourcePorts[index] = ports(rule.from());
        destinationPorts[index] = ports(rule.to());
    }

    private static int[] ports(final Side side) {
        final int[] row = new int[side.ports().size() * 2];
        int i = 0;
        for (final PortRange range : side.ports()) {
            row[i++] = range.first();
            row[i++] = range.last();
        }
        return row;
    }

    /** How far a frame's headers must be readable for this rule to be able to say yes or no. */
    private static int neededDepth(final Rule rule) {
        if (rule.protocol() != Rule.ANY) {
            return Headers.DEPTH_TRANSPORT;
        }
        final boolean anywhere =
                rule.from().prefix().length() == 0 && rule.to().prefix().length() == 0;
        return anywhere ? Headers.DEPTH_ETHERNET : Headers.DEPTH_NETWORK;
    }

    /**
     * The first rule that matches a frame.
     *
     * <p>A frame that could not be read as far as any of the rules looks is not judged rule by rule: a rule that cannot
     * be decided would let pass what it was written against.
     *
     * @return its index, or {@link #size} for the default, or {@link #UNPARSABLE}
     */
    public int firstMatch(final Headers headers) {
        if (headers.depth() < neededDepth) {
            return UNPARSABLE;
        }
        final int count = etherTypes.length;
        for (int i = 0; i < count; i++) {
            if (matches(i, headers)) {
                return i;
            }
        }
        return count;
    }

    private boolean matches(final int rule, final Headers headers) {
        final int type = etherTypes[rule];
        if (type != Rule.ANY) {
            return type == headers.etherType();
        }
        if ((families[rule] & headers.family()) == 0) {
            return false;
        }
        final int protocol = protocols[rule];
        return (protocol == Rule.ANY || protocol == headers.protocol())
                && matchesAddresses(rule * ROW, headers)
                && holds(sourcePorts[rule], headers.sourcePort())
                && holds(destinationPorts[rule], headers.destinationPort());
    }

    private boolean matchesAddresses(final int row, final Headers headers) {
        final long[] words = addresses;
        final long differences = (headers.sourceHigh() ^ words[row + SOURCE_HIGH]) & words[row + SOURCE_HIGH_MASK]
                | (headers.sourceLow() ^ words[row + SOURCE_LOW]) & words[row + SOURCE_LOW_MASK]
                | (headers.destinationHigh() ^ words[row + DESTINATION_HIGH]) & words[row + DESTINATION_HIGH_MASK]
                | (headers.destinationLow() ^ words[row + DESTINATION_LOW]) & words[row + DESTINATION_LOW_MASK];
        return differences == 0;
    }

    /** A frame without ports has port {@link Rule#ANY}, which is in no range. */
    private static boolean holds(final int[] ranges, final int port) {
        for (int i = 0; i < ranges.length; i += 2) {
            if (ranges[i] <= port && port <= ranges[i + 1]) {
                return true;
            }
        }
        return ranges.length == 0;
    }

    /** What to do with a frame for which {@link #firstMatch} returned this index, the default's included. */
    public boolean allows(final int match) {
        return allows[match];
    }

    /** Number of rules, the default not counted. */
    public int size() {
        return rules.size();
    }

    public Rule rule(final int index) {
        return rules.get(index);
    }

    /** The words of a rule, or of the default when the index is {@link #size}. */
    public String text(final int index) {
        if (index == rules.size()) {
            return allows[index] ? "default allow" : "default deny";
        }
        return rules.get(index).text();
    }

    /** Whether a rule asks for a protocol behind the IP headers, so that frames must be readable to L4. */
    public boolean namesL4() {
        return neededDepth == Headers.DEPTH_TRANSPORT;
    }
}

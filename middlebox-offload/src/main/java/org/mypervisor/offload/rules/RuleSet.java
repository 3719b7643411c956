package org.mypervisor.offload.rules;

import java.util.List;
import java.util.stream.IntStream;

/**
 * Rules compiled for judging frames: the first one that matches wins, else the default. Immutable, so that any number
 * of workers may share one. They ask by {@link RuleLookup}; everything public but {@link #allows} belongs to control threads.
 */
public final class RuleSet {
    /** {@link RuleLookup#match} of a frame whose headers could not be read as far as these rules look. */
    public static final int UNPARSABLE = -1;

    private final List<Rule> rules;
    private final boolean[] allows;
    /** The default's place behind the rules. */
    private final int none;

    private final int neededDepth;
    private final EtherTypes etherTypes;
    private final Classifier ipv4;
    private final Classifier ipv6;

    RuleSet(final List<Rule> rules, final boolean defaultAllow) {
        final int count = rules.size();
        this.rules = List.copyOf(rules);
        none = count;
        allows = new boolean[count + 1];
        allows[count] = defaultAllow;
        int depth = Headers.DEPTH_NONE;
        for (int i = 0; i < count; i++) {
            allows[i] = rules.get(i).allow();
            depth = Math.max(depth, neededDepth(rules.get(i)));
        }
        neededDepth = depth;
        etherTypes = new EtherTypes(rules);
        final PortLists lists = new PortLists(rules);
        ipv4 = compile(KeyLayout.IPV4, Headers.IPV4, Headers.ETHER_TYPE_IPV4, lists);
        ipv6 = compile(KeyLayout.IPV6, Headers.IPV6, Headers.ETHER_TYPE_IPV6, lists);
    }

    /** The rules that frames of one IP version can match, be it by their ether type. */
    private Classifier compile(final KeyLayout layout, final int family, final int etherType, final PortLists lists) {
        final int[] numbers = IntStream.range(0, rules.size())
                .filter(i ->
                        (rules.get(i).families() & family) != 0 || rules.get(i).etherType() == etherType)
                .toArray();
        final List<Box> boxes = IntStream.range(0, numbers.length)
                .mapToObj(position -> new Box(layout, position, rules.get(numbers[position])))
                .toList();
        return new Classifier(layout, CutTreeBuilder.build(layout, boxes), Rows.of(layout, boxes), numbers, lists);
    }

    /** How far a frame's headers must be readable for this rule to be able to say yes or no. */
    private static int neededDepth(final Rule rule) {
        final boolean anyPorts =
                rule.from().ports().isEmpty() && rule.to().ports().isEmpty();
        if (rule.protocol() != Rule.ANY || !anyPorts) {
            return Headers.DEPTH_TRANSPORT;
        }
        final boolean anywhere =
                rule.from().prefix().length() == 0 && rule.to().prefix().length() == 0;
        return anywhere ? Headers.DEPTH_ETHERNET : Headers.DEPTH_NETWORK;
    }

    /**
     * Whether a frame could be read as far as any of the rules looks. If not it is not judged rule by rule: a rule that cannot
     * be decided would let pass what it was written against.
     */
    boolean isReadable(final Headers headers) {
        return headers.depth() >= neededDepth;
    }

    /** Of a frame that is not IP. */
    int firstMatch(final int etherType) {
        return etherTypes.firstMatch(etherType, none);
    }

    void firstMatches4(final Keys keys) {
        ipv4.firstMatches(keys, none);
    }

    void firstMatches6(final Keys keys) {
        ipv6.firstMatches(keys, none);
    }

    /** Memory that look-ups work in. */
    long compiledBytes() {
        return ipv4.bytes() + ipv6.bytes();
    }

    /** What to do with a frame for which {@link RuleLookup#match} is this index, the default's included. */
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

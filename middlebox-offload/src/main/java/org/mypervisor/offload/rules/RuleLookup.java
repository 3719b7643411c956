package org.mypervisor.offload.rules;

/**
 * Looks up the rules for many frames together, step by step for all of them, so that their cache misses overlap: rules that
 * are many are in no near cache, and one frame's way through them is a chain of misses.
 *
 * <p>Allocates nothing once it is made. One instance per element, owned by that element's worker thread.
 */
public final class RuleLookup {
    private final int[] matches;
    private final Keys ipv4;
    private final Keys ipv6;
    private int count;

    /** @param most frames together, 1 or more */
    public RuleLookup(final int most) {
        matches = new int[most];
        ipv4 = new Keys(KeyLayout.IPV4, most);
        ipv6 = new Keys(KeyLayout.IPV6, most);
    }

    /** Begins anew, without frames. */
    public void begin() {
        count = 0;
        ipv4.clear();
        ipv6.clear();
    }

    /**
     * Adds a frame; what its headers say is copied. No more than there is room for.
     *
     * @param rules the same for all frames
     */
    public void add(final RuleSet rules, final Headers headers) {
        final int frame = count++;
        if (!rules.isReadable(headers)) {
            matches[frame] = RuleSet.UNPARSABLE;
        } else if (headers.family() == Headers.IPV4) {
            ipv4.add(frame, headers);
        } else if (headers.family() == Headers.IPV6) {
            ipv6.add(frame, headers);
        } else {
            matches[frame] = rules.firstMatch(headers.etherType());
        }
    }

    /** Finds the first rule that matches, for every frame added. */
    public void find(final RuleSet rules) {
        if (ipv4.count() != 0) {
            rules.firstMatches4(ipv4);
            ipv4.putMatches(matches);
        }
        if (ipv6.count() != 0) {
            rules.firstMatches6(ipv6);
            ipv6.putMatches(matches);
        }
    }

    /**
     * The first rule that matches a frame.
     *
     * @param frame 0 for the one that was added first
     * @return the rule's index, or {@link RuleSet#size} for the default, or {@link RuleSet#UNPARSABLE}
     */
    public int match(final int frame) {
        return matches[frame];
    }

    /** {@link #match} of one frame by itself. */
    public int firstMatch(final RuleSet rules, final Headers headers) {
        begin();
        add(rules, headers);
        find(rules);
        return match(0);
    }
}

package org.mypervisor.offload.rules;

import java.util.List;
import org.mypervisor.offload.rules.Rule.PortRange;

/**
 * A rule as a range in each field of a {@link KeyLayout}; a prefix is a range too. Immutable; control threads only.
 *
 * <p>A list of several port ranges is represented by the range from its least port to its greatest, and such a box is not
 * {@link #exact}: a frame inside it has yet to be compared with the list ({@link PortLists}).
 */
final class Box {
    /** More than any port and protocol, and what a frame has that has none. */
    private static final int PROTOCOL_END = 0x1FF;

    private static final int PORT_END = 0x1_FFFF;

    private static final long MASK32 = 0xFFFF_FFFFL;

    /** Where it stands among the boxes of one layout; the lesser, the sooner it matches. */
    private final int position;

    private final boolean exact;
    private final long[] first;
    private final long[] last;

    /** What frames of this layout's IP version a rule matches; the rule must be one that matches some. */
    Box(final KeyLayout layout, final int position, final Rule rule) {
        this.position = position;
        exact = rule.from().ports().size() <= 1 && rule.to().ports().size() <= 1;
        first = new long[layout.fieldCount()];
        last = new long[layout.fieldCount()];
        final int addresses = layout.addressFields();
        addresses(0, addresses / 2, rule.from().prefix());
        addresses(addresses / 2, addresses / 2, rule.to().prefix());
        ports(addresses, rule.from().ports());
        ports(addresses + 1, rule.to().ports());
        final int protocol = rule.protocol();
        set(addresses + 2, protocol == Rule.ANY ? 0 : protocol, protocol == Rule.ANY ? PROTOCOL_END : protocol);
    }

    private void addresses(final int field, final int count, final IpPrefix prefix) {
        if (count == 1) {
            set(field, prefix.low(), prefix.low() | ~prefix.lowMask() & MASK32);
        } else {
            set(field, prefix.high(), prefix.high() | ~prefix.highMask());
            set(field + 1, prefix.low(), prefix.low() | ~prefix.lowMask());
        }
    }

    private void ports(final int field, final List<PortRange> ranges) {
        set(
                field,
                ranges.stream().mapToInt(PortRange::first).min().orElse(0),
                ranges.stream().mapToInt(PortRange::last).max().orElse(PORT_END));
    }

    private void set(final int field, final long from, final long to) {
        first[field] = from;
        last[field] = to;
    }

    int position() {
        return position;
    }

    boolean exact() {
        return exact;
    }

    /** The least value of a field, unsigned. */
    long first(final int field) {
        return first[field];
    }

    /** The greatest value of a field, unsigned. */
    long last(final int field) {
        return last[field];
    }

    /** Whether every key of a region lies in it. */
    boolean covers(final Region region) {
        boolean covers = exact;
        for (int i = 0; i < first.length && covers; i++) {
            covers = Long.compareUnsigned(first[i], region.first(i)) <= 0
                    && Long.compareUnsigned(region.last(i), last[i]) <= 0;
        }
        return covers;
    }

    /** Whether every key of a region that lies in the other one lies in this one too. */
    boolean holds(final Box other, final Region region) {
        boolean holds = exact;
        for (int i = 0; i < first.length && holds; i++) {
            holds = (Long.compareUnsigned(first[i], other.first[i]) <= 0
                            || Long.compareUnsigned(first[i], region.first(i)) <= 0)
                    && (Long.compareUnsigned(other.last[i], last[i]) <= 0
                            || Long.compareUnsigned(region.last(i), last[i]) <= 0);
        }
        return holds;
    }
}

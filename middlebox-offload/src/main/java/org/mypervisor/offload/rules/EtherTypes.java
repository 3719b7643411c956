package org.mypervisor.offload.rules;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** The first rule of each ether type that rules name. Immutable; any number of workers may share one. */
final class EtherTypes {
    private final int[] types;
    private final int[] firstRules;

    EtherTypes(final List<Rule> rules) {
        final Map<Integer, Integer> first = new TreeMap<>();
        for (int i = 0; i < rules.size(); i++) {
            if (rules.get(i).etherType() != Rule.ANY) {
                first.putIfAbsent(rules.get(i).etherType(), i);
            }
        }
        types = first.keySet().stream().mapToInt(Integer::intValue).toArray();
        firstRules = first.values().stream().mapToInt(Integer::intValue).toArray();
    }

    /** The first rule on frames of this type, or {@code none}. */
    int firstMatch(final int etherType, final int none) {
        int low = 0;
        for (int length = types.length; length > 0; ) {
            final int half = length >>> 1;
            if (types[low + half] < etherType) {
                low += half + 1;
                length -= half + 1;
            } else {
                length = half;
            }
        }
        return low < types.length && types[low] == etherType ? firstRules[low] : none;
    }
}

package org.mypervisor.offload.rules;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Collects mistakes, so that one run names them all. The same mistake is kept once, and after {@link #MOST} the rest is
 * only counted: a wrong file named by accident must not print a million lines. Used by one control thread.
 */
public final class Mistakes {
    /** Mistakes that are named one by one. */
    public static final int MOST = 50;

    private final Set<Mistake> kept = new LinkedHashSet<>();
    private int unnamed;

    public void add(final Place place, final String text) {
        add(new Mistake(place, text));
    }

    public void add(final Mistake mistake) {
        if (kept.size() < MOST) {
            kept.add(mistake);
        } else if (!kept.contains(mistake)) {
            unnamed++;
        }
    }

    public boolean isEmpty() {
        return kept.isEmpty();
    }

    /** The mistakes in the order of their discovery; the last one says how many more there were, if any. */
    public List<Mistake> list() {
        final List<Mistake> all = new ArrayList<>(kept);
        if (unnamed > 0) {
            final Mistake last = all.get(all.size() - 1);
            all.add(new Mistake(last.place(), "and " + unnamed + " more mistakes after this one"));
        }
        return List.copyOf(all);
    }
}

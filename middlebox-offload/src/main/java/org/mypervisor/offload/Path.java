package org.mypervisor.offload;

import java.util.ArrayList;
import java.util.List;

/** One row of the statistics: what went from one source port to one destination. Counted by the source's worker. */
final class Path {
    private final String text;
    private final List<Element[]> elements = new ArrayList<>();
    final Counter packets = new Counter();
    final Counter bytes = new Counter();
    final Counter[] drops = Counter.array(DropReason.COUNT);

    /** @param text as the user would write it, such as {@code client -> filter(rules=acl.rules) -> server} */
    Path(final String text) {
        this.text = text;
    }

    String text() {
        return text;
    }

    /** Adds one source queue's elements, so that their own counts can be read. Before the workers start. */
    void addElements(final Element[] ofOneQueue) {
        elements.add(ofOneQueue);
    }

    /** The elements, an array for each source queue, all of the same kinds in the same order. */
    List<Element[]> elements() {
        return elements;
    }
}

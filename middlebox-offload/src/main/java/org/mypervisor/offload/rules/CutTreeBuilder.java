package org.mypervisor.offload.rules;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Builds one cut tree. Used by one control thread.
 *
 * <p>A rule that reaches several children becomes a candidate in each of them. What that may cost is settled beforehand: the
 * tree has an {@link Allowance}, a node divides its share among its children, and does without a cut that would need more.
 * So every set of rules is compiled in bounded memory, if need be with long leaves. Children with the same rules are one.
 */
final class CutTreeBuilder {
    /** No more rules than these are compared one by one sooner than cut again; 12 and 24 are within the noise. */
    private static final int LEAF = 16;

    /** Rules that are looked at for one that makes another superfluous. */
    private static final int PAIRS = 48;

    /** Candidates and children that a tree may have for each of its rules. */
    private static final int PER_RULE = 48;

    private static final int AT_LEAST = 1024;
    private static final int AT_MOST = 1 << 21;

    /** What a subtree may cost. */
    private record Allowance(long candidates, long children) {
        static Allowance ofTree(final int rules) {
            final long each = Math.max(rules, Math.min(AT_MOST, Math.max(AT_LEAST, (long) PER_RULE * rules)));
            return new Allowance(each, each);
        }

        Allowance share(final double part, final int childrenTaken) {
            return new Allowance((long) (candidates * part), (long) ((children - childrenTaken) * part));
        }
    }

    /** Where children with the same rules stand among their siblings, and what is known of keys in any of them. */
    private static final class Twins {
        private final List<Integer> places = new ArrayList<>();
        private Region region;

        void add(final int place, final Region there) {
            places.add(place);
            region = region == null ? there : region.join(there);
        }
    }

    private final KeyLayout layout;
    private final CutChooser chooser;
    private final IntList candidates = new IntList();
    private final Map<List<Box>, Long> leaves = new LinkedHashMap<>();
    private long[] nodes = new long[64];
    private int nodeCount;

    private CutTreeBuilder(final KeyLayout layout) {
        this.layout = layout;
        chooser = new CutChooser(layout);
    }

    /** A tree of these boxes, whose positions must ascend. */
    static CutTree build(final KeyLayout layout, final List<Box> boxes) {
        final CutTreeBuilder builder = new CutTreeBuilder(layout);
        final Region everything = Region.everything(layout);
        final long root = builder.node(prune(boxes, everything), everything, Allowance.ofTree(boxes.size()));
        return new CutTree(root, Arrays.copyOf(builder.nodes, builder.nodeCount), builder.candidates.toArray());
    }

    private long node(final List<Box> boxes, final Region region, final Allowance allowance) {
        if (boxes.size() <= LEAF) {
            return leaf(boxes);
        }
        final List<Cut> cuts = chooser.choose(boxes, region, allowance.candidates, allowance.children / 2);
        if (cuts.isEmpty()) {
            return leaf(boxes);
        }
        return inner(boxes, region, allowance, cuts.get(0), cuts.size() > 1 ? cuts.get(1) : Cut.NONE);
    }

    private long leaf(final List<Box> boxes) {
        return leaves.computeIfAbsent(boxes, key -> {
            final int start = candidates.size();
            boxes.forEach(box -> candidates.add(box.position()));
            return Node.leaf(start, boxes.size());
        });
    }

    private long inner(
            final List<Box> boxes, final Region region, final Allowance allowance, final Cut first, final Cut second) {
        final Map<List<Box>, Twins> children = children(boxes, region, first, second);
        if (children.keySet().stream().allMatch(child -> child.size() == boxes.size())) {
            return leaf(boxes);
        }
        final int count = first.children() * second.children();
        final int start = reserve(count);
        // Long lists of rules cost twice: they are longer, and more frames get there. So they get more of the
        // allowance.
        final double sum =
                children.keySet().stream().mapToDouble(CutTreeBuilder::claim).sum();
        children.forEach((left, twins) -> {
            final long node = node(left, twins.region, allowance.share(claim(left) / Math.max(1, sum), count));
            twins.places.forEach(place -> nodes[start + place] = node);
        });
        return Node.inner(start, packed(first, 0), packed(second, first.bits()));
    }

    private static double claim(final List<Box> boxes) {
        return (double) boxes.size() * boxes.size();
    }

    private int reserve(final int count) {
        final int start = nodeCount;
        nodeCount += count;
        if (nodeCount > nodes.length) {
            nodes = Arrays.copyOf(nodes, Math.max(nodeCount, nodes.length * 2));
        }
        return start;
    }

    private int packed(final Cut cut, final int bitsBelow) {
        final KeyLayout.Field field = layout.field(cut.field());
        return Node.cut(field.word(), field.shift() + cut.low() - bitsBelow, cut.bits());
    }

    private static Map<List<Box>, Twins> children(
            final List<Box> boxes, final Region region, final Cut first, final Cut second) {
        final List<List<Box>> distributed = distribute(boxes, first, second);
        final Map<List<Box>, Twins> children = new LinkedHashMap<>();
        for (int place = 0; place < distributed.size(); place++) {
            final Region there =
                    region.child(first, place & first.children() - 1).child(second, place >>> first.bits());
            children.computeIfAbsent(prune(distributed.get(place), there), key -> new Twins())
                    .add(place, there);
        }
        return children;
    }

    private static List<List<Box>> distribute(final List<Box> boxes, final Cut first, final Cut second) {
        final List<List<Box>> children = new ArrayList<>();
        for (int i = first.children() * second.children(); i > 0; i--) {
            children.add(new ArrayList<>());
        }
        for (final Box box : boxes) {
            for (int i = first.reach(box) - 1; i >= 0; i--) {
                final int column = first.firstChild(box) + i & first.children() - 1;
                for (int j = second.reach(box) - 1; j >= 0; j--) {
                    final int row = second.firstChild(box) + j & second.children() - 1;
                    children.get(row << first.bits() | column).add(box);
                }
            }
        }
        return children;
    }

    /** Leaves out rules that no frame of this region can be the first to match. */
    private static List<Box> prune(final List<Box> boxes, final Region region) {
        final List<Box> left = new ArrayList<>();
        for (final Box box : boxes) {
            if (left.size() > PAIRS || left.stream().noneMatch(before -> before.holds(box, region))) {
                left.add(box);
                if (box.covers(region)) {
                    break;
                }
            }
        }
        return left;
    }
}

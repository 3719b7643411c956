package org.mypervisor.offload.rules;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Chooses the bits by which a node is cut: those that leave the fewest rules to a frame at a price for memory, on which more
 * cache misses depend than on anything else. Used by one control thread.
 */
final class CutChooser {
    /** Boxes that are looked at; of more, every so-manieth. */
    private static final int SAMPLE = 256;

    private static final int CHILDREN_PER_BOX = 3;

    // Prices are logarithms to the base 2 of the boxes left; docs/decisions/0009-classifier.md has what lost.
    private static final double PRICE_OF_BIT = 0.08;
    private static final double PRICE_OF_COPYING = 0.1;
    private static final double LEAST_GAIN = 0.1;

    private final KeyLayout layout;
    private final Spread spread = new Spread();

    /** A cut and what it is worth: the lower, the better. */
    private record Offer(Cut cut, double price) {}

    CutChooser(final KeyLayout layout) {
        this.layout = layout;
    }

    /** One or two cuts of different fields; none if no cut is worth its price, or may cost what it does. */
    List<Cut> choose(final List<Box> boxes, final Region region, final long mostCopies, final long mostChildren) {
        final List<Box> sample = sample(boxes);
        final double copies = (double) mostCopies * sample.size() / boxes.size();
        final long children = Math.min(mostChildren, (long) boxes.size() * CHILDREN_PER_BOX);
        final List<Offer> offers = new ArrayList<>();
        for (int field = 0; field < layout.fieldCount(); field++) {
            final Offer offer = bestOf(field, sample, region, copies, children);
            if (offer != null) {
                offers.add(offer);
            }
        }
        offers.sort(Comparator.comparingDouble(Offer::price));
        if (offers.isEmpty() || offers.get(0).price > log2(sample.size()) - LEAST_GAIN) {
            return List.of();
        }
        return withSecond(offers, sample, copies, children);
    }

    private static List<Box> sample(final List<Box> boxes) {
        if (boxes.size() <= SAMPLE) {
            return boxes;
        }
        final List<Box> sample = new ArrayList<>(SAMPLE);
        for (int i = 0; i < SAMPLE; i++) {
            sample.add(boxes.get((int) ((long) i * boxes.size() / SAMPLE)));
        }
        return sample;
    }

    /** The best cut of one field that begins and ends with bits in which the boxes differ, or null. */
    private Offer bestOf(
            final int field, final List<Box> boxes, final Region region, final double copies, final long children) {
        final long useful = usefulBits(field, boxes) & ~region.cutBits(field);
        Offer best = null;
        for (long lows = useful; lows != 0; lows &= lows - 1) {
            final int low = Long.numberOfTrailingZeros(lows);
            for (int bits = 1; bits <= Node.MOST_BITS && 1L << bits <= children; bits++) {
                final Cut cut = new Cut(field, low, bits);
                if (low + bits > layout.field(field).bits() || (cut.mask() & region.cutBits(field)) != 0) {
                    break;
                }
                if ((useful >>> low + bits - 1 & 1) != 0) {
                    final double price = price(boxes, cut, Cut.NONE, copies);
                    best = best == null && price < Double.MAX_VALUE || best != null && price < best.price
                            ? new Offer(cut, price)
                            : best;
                }
            }
        }
        return best;
    }

    /** Bits of a field that are 0 for some boxes and 1 for others. */
    private long usefulBits(final int field, final List<Box> boxes) {
        long useful = 0;
        for (int bit = 0; bit < layout.field(field).bits(); bit++) {
            final Cut cut = new Cut(field, bit, 1);
            boolean zero = false;
            boolean one = false;
            for (final Box box : boxes) {
                final boolean both = cut.reach(box) == 2;
                zero |= !both && cut.firstChild(box) == 0;
                one |= !both && cut.firstChild(box) == 1;
            }
            useful |= zero && one ? 1L << bit : 0;
        }
        return useful;
    }

    /** The best cut, and as much of another field's best cut as makes it better still. */
    private List<Cut> withSecond(
            final List<Offer> offers, final List<Box> boxes, final double copies, final long children) {
        final Cut first = offers.get(0).cut;
        double price = offers.get(0).price;
        List<Cut> best = List.of(first);
        for (final Offer offer : offers.subList(1, offers.size())) {
            final int top = offer.cut.low() + offer.cut.bits();
            for (int bits = offer.cut.bits(); bits >= 1; bits--) {
                final int together = first.bits() + bits;
                if (together <= Node.MOST_BITS_TOGETHER && 1L << together <= children) {
                    final Cut second = new Cut(offer.cut.field(), top - bits, bits);
                    final double both = price(boxes, first, second, copies);
                    if (both < price - LEAST_GAIN) {
                        price = both;
                        best = List.of(first, second);
                    }
                }
            }
        }
        return best;
    }

    private double price(final List<Box> boxes, final Cut first, final Cut second, final double mostCopies) {
        spread.count(boxes, first, second);
        if (spread.copies() > mostCopies) {
            return Double.MAX_VALUE;
        }
        return log2(spread.left())
                + PRICE_OF_BIT * (first.bits() + second.bits())
                + PRICE_OF_COPYING * log2((double) spread.copies() / boxes.size());
    }

    private static double log2(final double x) {
        return Math.log(Math.max(1, x)) / Math.log(2);
    }
}

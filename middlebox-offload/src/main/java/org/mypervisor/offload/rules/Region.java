package org.mypervisor.offload.rules;

/**
 * What is known of every key that reaches a node, by the cuts above it: some bits of each field, not always the leading
 * ones. Immutable; control threads only.
 */
final class Region {
    private final KeyLayout layout;
    private final long[] cut;
    private final long[] known;
    private final long[] value;

    private Region(final KeyLayout layout, final long[] cut, final long[] known, final long[] value) {
        this.layout = layout;
        this.cut = cut;
        this.known = known;
        this.value = value;
    }

    static Region everything(final KeyLayout layout) {
        final int fields = layout.fieldCount();
        return new Region(layout, new long[fields], new long[fields], new long[fields]);
    }

    /** Where a cut's child is whose bits have this value. */
    Region child(final Cut by, final long bits) {
        final Region child = new Region(layout, cut.clone(), known.clone(), value.clone());
        child.cut[by.field()] |= by.mask();
        child.known[by.field()] |= by.mask();
        child.value[by.field()] |= bits << by.low();
        return child;
    }

    /** Knows what both know, if they are children of the same cuts. */
    Region join(final Region other) {
        final Region joined = new Region(layout, cut, known.clone(), value.clone());
        for (int i = 0; i < known.length; i++) {
            joined.known[i] &= other.known[i] & ~(value[i] ^ other.value[i]);
            joined.value[i] &= joined.known[i];
        }
        return joined;
    }

    /** Bits of a field that some cut above has taken. */
    long cutBits(final int field) {
        return cut[field];
    }

    /** The least value that a field can have here. */
    long first(final int field) {
        return value[field];
    }

    /** The greatest value that a field can have here. */
    long last(final int field) {
        return value[field] | ~known[field] & layout.field(field).mask();
    }
}

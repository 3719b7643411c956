package org.mypervisor.offload.rules;

/**
 * The keys of some frames of one IP version, and where a {@link Classifier} is with each: the node that it has come to, then
 * the rule that it found. Owned by one {@link RuleLookup}.
 */
final class Keys {
    private final int stride;
    private final long[] words;
    private final long[] nodes;
    private final int[] frames;
    private final int[] matches;
    private int count;

    Keys(final KeyLayout layout, final int most) {
        stride = layout.addressWords + 1;
        words = new long[most * stride];
        nodes = new long[most];
        frames = new int[most];
        matches = new int[most];
    }

    void clear() {
        count = 0;
    }

    void add(final int frame, final Headers headers) {
        frames[count] = frame;
        headers.putKey(words, count * stride);
        count++;
    }

    void begin(final long root) {
        for (int i = 0; i < count; i++) {
            nodes[i] = root;
        }
    }

    int count() {
        return count;
    }

    /** The words of the key at {@code index} begin at {@link #start}. */
    long[] words() {
        return words;
    }

    int start(final int index) {
        return index * stride;
    }

    long[] nodes() {
        return nodes;
    }

    int[] matches() {
        return matches;
    }

    /** Writes each match to the place of its frame. */
    void putMatches(final int[] ofFrames) {
        for (int i = 0; i < count; i++) {
            ofFrames[frames[i]] = matches[i];
        }
    }
}

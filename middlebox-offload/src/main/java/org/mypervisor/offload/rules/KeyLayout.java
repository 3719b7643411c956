package org.mypervisor.offload.rules;

import java.util.List;

/**
 * Where the fields that rules ask for lie in the words of a frame's key ({@link Headers#putKey}). Address words come first,
 * the last word has protocol and ports:
 *
 * <pre>
 * bit 63      46   45    44..36     35    34..18        17    16..0
 *     (unused)   guard  protocol  guard  source port  guard  destination port
 * </pre>
 *
 * <p>A guard bit is 0 in a key. It keeps a subtraction in one field from borrowing from the next, so that all three ranges
 * are compared at once ({@link Rows}). Fields are one bit wider than their values: what a frame does not have reads as all
 * ones, which is in no range that a rule names.
 */
enum KeyLayout {
    IPV4(List.of(new Field(0, 32, 32), new Field(0, 0, 32)), 1),
    IPV6(List.of(new Field(0, 0, 64), new Field(1, 0, 64), new Field(2, 0, 64), new Field(3, 0, 64)), 4);

    /** Some bits of one word of a key. */
    record Field(int word, int shift, int bits) {
        /** Ones in as many bits as the field has. */
        long mask() {
            return -1L >>> Long.SIZE - bits;
        }
    }

    /** Ones in the guard bits of the last word. */
    static final long GUARDS = 1L << 17 | 1L << 35 | 1L << 45;

    private static final int PORT_MASK = 0x1_FFFF;
    private static final int PROTOCOL_MASK = 0x1FF;
    private static final int SOURCE_PORT_SHIFT = 18;
    private static final int PROTOCOL_SHIFT = 36;

    /** Words of addresses; the word of protocol and ports has this index. */
    final int addressWords;

    private final Field[] fields;

    KeyLayout(final List<Field> addresses, final int addressWords) {
        this.addressWords = addressWords;
        final int count = addresses.size();
        fields = addresses.toArray(new Field[count + 3]);
        fields[count] = new Field(addressWords, SOURCE_PORT_SHIFT, 17);
        fields[count + 1] = new Field(addressWords, 0, 17);
        fields[count + 2] = new Field(addressWords, PROTOCOL_SHIFT, 9);
    }

    /** The last word of a key; {@link Rule#ANY} stands for what a frame does not have. */
    static long transportWord(final int protocol, final int sourcePort, final int destinationPort) {
        return (long) (protocol & PROTOCOL_MASK) << PROTOCOL_SHIFT
                | (long) (sourcePort & PORT_MASK) << SOURCE_PORT_SHIFT
                | destinationPort & PORT_MASK;
    }

    /** Of such a word; what a frame does not have is above all ports. */
    static int sourcePort(final long transport) {
        return (int) (transport >>> SOURCE_PORT_SHIFT) & PORT_MASK;
    }

    static int destinationPort(final long transport) {
        return (int) transport & PORT_MASK;
    }

    int fieldCount() {
        return fields.length;
    }

    Field field(final int index) {
        return fields[index];
    }

    /** Fields of addresses, the source's in front of the destination's; source port, destination port, protocol follow. */
    int addressFields() {
        return fields.length - 3;
    }

    /** Words of one row of {@link Rows}. */
    int rowWords() {
        return 2 * addressWords + 2;
    }
}

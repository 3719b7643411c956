package org.mypervisor.offload.capture;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A pcapng file behind its first four bytes: blocks, of which those that hold no frames or say nothing about them are
 * skipped.
 *
 * <pre>
 * struct { u32 type; u32 total_length; …; u32 total_length; }, in multiples of four bytes
 * </pre>
 */
final class PcapngReader {
    /** The same in either byte order. */
    static final int SECTION_HEADER = 0x0A0D0D0A;

    private static final int INTERFACE_DESCRIPTION = 1;
    private static final int OBSOLETE_PACKET = 2;
    private static final int SIMPLE_PACKET = 3;
    private static final int ENHANCED_PACKET = 6;

    private static final int BYTE_ORDER_MAGIC = 0x1A2B3C4D;

    private static final int TYPE_SIZE = 4;
    private static final int LENGTH_SIZE = 4;
    private static final int BYTE_ORDER_SIZE = 4;
    private static final int VERSION_SIZE = 4;
    /** Type and both lengths. */
    private static final int BLOCK_OVERHEAD = 12;

    /** Byte order, version, and the section's length. */
    private static final int SECTION_FIELDS = 16;

    private static final int INTERFACE_FIELDS = 8;
    private static final int PACKET_FIELDS = 20;
    private static final int SIMPLE_PACKET_FIELDS = 4;

    /** Code and length. */
    private static final int OPTION_HEADER = 4;

    private static final int END_OF_OPTIONS = 0;
    private static final int IF_TSRESOL = 9;
    private static final int IF_FCSLEN = 13;
    private static final int IF_TSOFFSET = 14;

    /** The same in an obsolete packet. */
    private static final int EPB_FLAGS = 2;

    /** Among these flags: bytes of the check sequence, or 0 when that is not known. */
    private static final int FCS_FLAGS = 0xF << 5;

    /** More than anybody has; each is kept in memory. */
    private static final int MAX_INTERFACES = 1 << 16;

    private static final long UNSIGNED = 0xFFFF_FFFFL;

    /** @param snapLength bytes of a frame that were kept at most, on which only simple packets rely; 0 when all were */
    private record Interface(int linkType, long snapLength, Ticks ticks, boolean hasCheckSequence) {}

    private final CaptureInput input;
    private final FrameSink sink;
    private final List<Interface> interfaces = new ArrayList<>();
    private long nanos = FrameSink.NO_TIME;
    /** Bytes of the present block that were not read, without its second length. */
    private long bodyLeft;
    /** Of the present option, without what fills it up to four bytes. */
    private int optionLength;
    /** Bytes of the present option that were not read. */
    private int optionLeft;

    PcapngReader(final CaptureInput input, final FrameSink sink) {
        this.input = input;
        this.sink = sink;
    }

    void read() throws IOException {
        input.begin("block", 0);
        block(SECTION_HEADER);
        while (input.left() > 0) {
            input.begin("block");
            block(input.fields(TYPE_SIZE).getInt());
        }
    }

    /** A block behind its type. */
    private void block(final int type) throws IOException {
        final boolean isSection = type == SECTION_HEADER;
        // The byte order stands behind the first number that is written in it.
        final ByteBuffer head = input.fields(isSection ? LENGTH_SIZE + BYTE_ORDER_SIZE : LENGTH_SIZE);
        if (isSection) {
            input.order(order(head));
        }
        final long total = head.getInt(0) & UNSIGNED;
        final int least = isSection ? BLOCK_OVERHEAD + SECTION_FIELDS : BLOCK_OVERHEAD;
        if (total < least || total % 4 != 0) {
            throw input.damaged(
                    "a block length of " + (int) total + ", where a multiple of 4 from " + least + " on is expected");
        }
        bodyLeft = total - BLOCK_OVERHEAD - (isSection ? BYTE_ORDER_SIZE : 0);
        input.expect(bodyLeft + LENGTH_SIZE);
        switch (type) {
            case SECTION_HEADER -> section();
            case INTERFACE_DESCRIPTION -> interfaceDescription();
            case ENHANCED_PACKET, OBSOLETE_PACKET -> packet(type);
            case SIMPLE_PACKET -> simplePacket();
            default -> {
                // Statistics, names, secrets, a vendor's own: nothing to be sent.
            }
        }
        input.skip(bodyLeft);
        final long again = input.fields(LENGTH_SIZE).getInt() & UNSIGNED;
        if (again != total) {
            throw input.damaged("its length is " + total + " in front and " + again + " behind");
        }
    }

    private ByteOrder order(final ByteBuffer head) throws CaptureException {
        final int magic = head.order(ByteOrder.BIG_ENDIAN).getInt(LENGTH_SIZE);
        if (magic == BYTE_ORDER_MAGIC) {
            return ByteOrder.BIG_ENDIAN;
        }
        if (magic == Integer.reverseBytes(BYTE_ORDER_MAGIC)) {
            return ByteOrder.LITTLE_ENDIAN;
        }
        throw input.damaged("a section whose byte order is 0x%08x".formatted(magic));
    }

    private ByteBuffer body(final int length) throws IOException {
        if (length > bodyLeft) {
            throw input.damaged("the block has " + bodyLeft + " bytes where " + length + " are needed");
        }
        bodyLeft -= length;
        return input.fields(length);
    }

    private void skip(final int length) throws IOException {
        bodyLeft -= length;
        input.skip(length);
    }

    /** Goes on to the next option, whatever was read of the present one; returns its code. */
    private int nextOption() throws IOException {
        skip(optionLeft);
        optionLeft = 0;
        if (bodyLeft < OPTION_HEADER) {
            return END_OF_OPTIONS;
        }
        final ByteBuffer header = body(OPTION_HEADER);
        final int code = header.getShort() & 0xFFFF;
        optionLength = header.getShort() & 0xFFFF;
        final int padded = optionLength + 3 & -4;
        if (code != END_OF_OPTIONS) {
            if (padded > bodyLeft) {
                throw input.damaged(
                        "option " + code + " of " + optionLength + " bytes, of which there are " + bodyLeft);
            }
            optionLeft = padded;
        }
        return code;
    }

    /** The value of the present option, once. */
    private ByteBuffer option() throws IOException {
        final int length = optionLeft;
        optionLeft = 0;
        return body(length);
    }

    private void section() throws IOException {
        final int major = body(VERSION_SIZE).getShort() & 0xFFFF;
        if (major != 1) {
            throw input.wrong(
                    "is of version " + major + ", and only 1 is known; convert it with 'editcap -F nsecpcap'");
        }
        interfaces.clear();
    }

    private void interfaceDescription() throws IOException {
        final ByteBuffer fields = body(INTERFACE_FIELDS);
        final int linkType = fields.getShort() & 0xFFFF;
        fields.getShort();
        final long snapLength = fields.getInt() & UNSIGNED;
        if (interfaces.size() == MAX_INTERFACES) {
            throw input.damaged("more than " + MAX_INTERFACES + " interfaces in one section");
        }
        int resolution = Ticks.MICROSECONDS;
        long offset = 0;
        boolean hasCheckSequence = false;
        for (int code = nextOption(); code != END_OF_OPTIONS; code = nextOption()) {
            if (code == IF_TSRESOL && optionLength == 1) {
                resolution = option().get() & 0xFF;
            } else if (code == IF_TSOFFSET && optionLength == Long.BYTES) {
                offset = option().getLong();
            } else if (code == IF_FCSLEN && optionLength == 1) {
                hasCheckSequence = option().get() != 0;
            }
        }
        interfaces.add(new Interface(linkType, snapLength, Ticks.of(resolution, offset), hasCheckSequence));
    }

    private Interface interfaceOf(final long id) throws CaptureException {
        if (id >= interfaces.size()) {
            throw input.damaged("a frame of interface " + id + ", of which there was no description");
        }
        final Interface from = interfaces.get((int) id);
        input.expectEthernet(from.linkType);
        input.expectNoCheckSequence(from.hasCheckSequence);
        return from;
    }

    private void packet(final int type) throws IOException {
        final ByteBuffer fields = body(PACKET_FIELDS);
        final Interface from;
        if (type == ENHANCED_PACKET) {
            from = interfaceOf(fields.getInt() & UNSIGNED);
        } else {
            from = interfaceOf(fields.getShort() & 0xFFFF);
            fields.getShort();
        }
        final long time = (fields.getInt() & UNSIGNED) << 32 | fields.getInt() & UNSIGNED;
        final long captured = fields.getInt() & UNSIGNED;
        final long original = fields.getInt() & UNSIGNED;
        nanos = from.ticks.nanos(time, input);
        final int length = input.frameLength(captured, original);
        final byte[] frame = frame(length);
        skip((int) Math.min(-length & 3, bodyLeft));
        for (int code = nextOption(); code != END_OF_OPTIONS; code = nextOption()) {
            if (code == EPB_FLAGS && optionLength == Integer.BYTES) {
                input.expectNoCheckSequence((option().getInt() & FCS_FLAGS) != 0);
            }
        }
        sink.frame(nanos, frame, length, original);
    }

    /** Has no time, and is as long as the first interface lets it be. */
    private void simplePacket() throws IOException {
        final long original = body(SIMPLE_PACKET_FIELDS).getInt() & UNSIGNED;
        final long snapLength = interfaceOf(0).snapLength;
        final long captured = snapLength == 0 ? original : Math.min(original, snapLength);
        final int length = input.frameLength(captured, original);
        sink.frame(nanos, frame(length), length, original);
    }

    private byte[] frame(final int length) throws IOException {
        if (length > bodyLeft) {
            throw input.damaged("a frame of " + length + " bytes in a block with room for " + bodyLeft);
        }
        bodyLeft -= length;
        return input.frame(length);
    }
}

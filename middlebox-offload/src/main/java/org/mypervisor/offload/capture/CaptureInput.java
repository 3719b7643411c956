package org.mypervisor.offload.capture;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The bytes of a capture file from front to end, and where in them the reader is. No length that the file gives is believed
 * before it was compared with what is left of the file.
 */
final class CaptureInput {
    /** Fixed fields, and options that are looked at. */
    private static final int MAX_FIELDS = 64;

    private final String name;
    private final InputStream in;
    private final long size;
    private final byte[] fields = new byte[MAX_FIELDS];
    private final ByteBuffer view = ByteBuffer.wrap(fields);
    private final byte[] frame = new byte[FrameRecord.MAX_FRAME];
    private long position;
    private String unit = "";
    private long number;
    private long unitStart;

    /** @param size of the whole file in bytes */
    CaptureInput(final String name, final InputStream in, final long size) {
        this.name = name;
        this.in = in;
        this.size = size;
    }

    /** Of the fields from now on. */
    void order(final ByteOrder order) {
        view.order(order);
    }

    long left() {
        return size - position;
    }

    /** A record or block begins here, for messages. */
    void begin(final String newUnit) {
        begin(newUnit, position);
    }

    /** The same, of which some bytes were read. */
    void begin(final String newUnit, final long start) {
        unit = newUnit;
        number++;
        unitStart = start;
    }

    /** The next bytes as fields, until the next call. */
    ByteBuffer fields(final int length) throws IOException {
        read(fields, length);
        return view.clear().limit(length);
    }

    /** The next bytes as a frame, until the next call. */
    byte[] frame(final int length) throws IOException {
        read(frame, length);
        return frame;
    }

    private void read(final byte[] to, final int length) throws IOException {
        expect(length);
        if (in.readNBytes(to, 0, length) != length) {
            throw shrunk();
        }
        position += length;
    }

    void skip(final long length) throws IOException {
        expect(length);
        try {
            in.skipNBytes(length);
        } catch (final java.io.EOFException e) {
            throw shrunk();
        }
        position += length;
    }

    /** So many bytes are there. */
    void expect(final long length) throws CaptureException {
        if (length > left()) {
            throw wrong(length + " more bytes are needed at byte " + position + ", and the file ends at byte " + size
                    + ": it is cut short; 'tcpdump -r " + name + " -w WHOLE' saves the whole frames");
        }
    }

    private CaptureException shrunk() {
        return wrong("the file became shorter while it was read; replay a copy of it");
    }

    /** What is wrong with the present record or block, and what to do. */
    CaptureException wrong(final String why) {
        final String where = number == 0 ? "" : ": " + unit + " " + number + " at byte " + unitStart;
        return new CaptureException("capture " + name + where + ": " + why);
    }

    /** What can be done about a file that no reader would understand. */
    CaptureException damaged(final String why) {
        return wrong(why + ": the file is damaged; capture it anew, or save what comes before this with 'tcpdump -r "
                + name + " -w WHOLE'");
    }

    /**
     * Checks how long a frame is said to be, before that is used for anything. The snapshot length is no limit: programs that
     * write captures get it wrong, and it says nothing that the frame's own length does not.
     */
    int frameLength(final long captured, final long original) throws CaptureException {
        if (captured > FrameRecord.MAX_FRAME) {
            throw wrong("a frame of " + captured + " bytes; no port takes more than " + FrameRecord.MAX_FRAME
                    + "; cut longer ones with 'editcap -s " + FrameRecord.MAX_FRAME + "'");
        }
        if (captured > original) {
            throw damaged(captured + " bytes of a frame that had " + original);
        }
        return (int) captured;
    }

    /** Whoever receives a frame takes what stands behind it for a part of it. */
    void expectNoCheckSequence(final boolean hasCheckSequence) throws CaptureException {
        if (hasCheckSequence) {
            throw wrong("its frames end with a check sequence, which would be sent as part of them; cut it off with"
                    + " 'editcap -F nsecpcap -C -4'");
        }
    }

    /** Frames of other links could not be sent. */
    void expectEthernet(final int linkType) throws CaptureException {
        if (linkType != 1) {
            throw wrong(
                    "its frames are of link type " + linkType + ", and only Ethernet (1) can be replayed; capture on an"
                            + " Ethernet interface, or convert the file with 'tcprewrite --dlt=enet'");
        }
    }
}

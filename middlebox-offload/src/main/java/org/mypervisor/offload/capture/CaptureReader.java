package org.mypervisor.offload.capture;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteOrder;

/**
 * Reads a capture file of either format, told by its first four bytes:
 *
 * <pre>
 * A1 B2 C3 D4 pcap, microseconds   A1 B2 3C 4D pcap, nanoseconds   (either backwards: little-endian)   0A 0D 0D 0A pcapng
 * </pre>
 *
 * @see <a href="https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html">pcap</a>
 * @see <a href="https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html">pcapng</a>
 */
public final class CaptureReader {
    private static final int MICROSECONDS = 0xA1B2C3D4;
    private static final int NANOSECONDS = 0xA1B23C4D;
    private static final int MODIFIED = 0xA1B2CD34;
    private static final int GZIP = 0x1F8B;
    private static final int ZSTD = 0x28B52FFD;
    private static final int XZ = 0xFD377A58;

    private static final int MAGIC_SIZE = 4;

    private CaptureReader() {}

    /**
     * Reads all of it.
     *
     * @param name of the file, for messages
     * @param in its bytes, from the first one on; buffered
     * @param size of the file in bytes
     * @throws CaptureException when it is no capture that can be replayed as a whole; the sink got the frames before
     * @throws IOException when it cannot be read
     */
    public static void read(final String name, final InputStream in, final long size, final FrameSink sink)
            throws IOException {
        final CaptureInput input = new CaptureInput(name, in, size);
        if (size < MAGIC_SIZE) {
            throw input.wrong("has " + size + " bytes and cannot be a capture; give a pcap or pcapng file");
        }
        final int magic = input.fields(MAGIC_SIZE).getInt();
        switch (magic) {
            case MICROSECONDS, NANOSECONDS -> pcap(input, ByteOrder.BIG_ENDIAN, magic, sink);
            case PcapngReader.SECTION_HEADER -> new PcapngReader(input, sink).read();
            default -> {
                final int reversed = Integer.reverseBytes(magic);
                if (reversed != MICROSECONDS && reversed != NANOSECONDS) {
                    throw unknown(input, magic);
                }
                pcap(input, ByteOrder.LITTLE_ENDIAN, reversed, sink);
            }
        }
    }

    private static void pcap(final CaptureInput input, final ByteOrder order, final int magic, final FrameSink sink)
            throws IOException {
        input.order(order);
        new PcapReader(input, magic == NANOSECONDS, sink).read();
    }

    private static CaptureException unknown(final CaptureInput input, final int magic) {
        if (magic >>> 16 == GZIP || magic == ZSTD || magic == XZ) {
            return input.wrong("is compressed; unpack it first");
        }
        if (magic == MODIFIED || Integer.reverseBytes(magic) == MODIFIED) {
            return input.wrong("is a modified pcap file; convert it with 'editcap -F pcapng'");
        }
        return input.wrong("begins with 0x%08x, which no pcap or pcapng file does; convert it with 'editcap -F pcapng'"
                .formatted(magic));
    }
}

package org.mypervisor.offload.capture;

import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * A pcap file behind its first four bytes:
 *
 * <pre>
 * struct { u16 major, minor; u32 reserved[2]; u32 snaplen; u32 network; }
 * struct { u32 sec; u32 fraction; u32 incl_len; u32 orig_len; u8 frame[incl_len]; } …
 * </pre>
 */
final class PcapReader {
    private static final int FILE_HEADER = 20;
    private static final int RECORD_HEADER = 16;
    private static final int VERSION = 2 << 16 | 4;
    private static final int HAS_FCS = 0x0400_0000;
    private static final long UNSIGNED = 0xFFFF_FFFFL;
    private static final long NANOS_PER_SECOND = 1_000_000_000;

    private final CaptureInput input;
    private final long nanosPerUnit;
    private final FrameSink sink;

    PcapReader(final CaptureInput input, final boolean nanoseconds, final FrameSink sink) {
        this.input = input;
        this.nanosPerUnit = nanoseconds ? 1 : 1000;
        this.sink = sink;
    }

    void read() throws IOException {
        final ByteBuffer header = input.fields(FILE_HEADER);
        final int version = header.getShort() << 16 | header.getShort() & 0xFFFF;
        if (version != VERSION) {
            throw input.wrong("is of version " + (version >>> 16) + "." + (version & 0xFFFF)
                    + ", and only 2.4 is known; convert it with 'editcap -F pcapng'");
        }
        header.getLong();
        header.getInt();
        final int network = header.getInt();
        input.expectEthernet(network & 0xFFFF);
        input.expectNoCheckSequence((network & HAS_FCS) != 0);
        while (input.left() > 0) {
            record();
        }
    }

    private void record() throws IOException {
        input.begin("record");
        final ByteBuffer header = input.fields(RECORD_HEADER);
        final long seconds = header.getInt() & UNSIGNED;
        final long fraction = header.getInt() & UNSIGNED;
        final long captured = header.getInt() & UNSIGNED;
        final long original = header.getInt() & UNSIGNED;
        final int length = input.frameLength(captured, original);
        // Some programs write a second's worth of fractions or more; that is only another time.
        sink.frame(seconds * NANOS_PER_SECOND + fraction * nanosPerUnit, input.frame(length), length, original);
    }
}

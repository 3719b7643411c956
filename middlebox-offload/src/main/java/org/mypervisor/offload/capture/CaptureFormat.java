package org.mypervisor.offload.capture;

import java.nio.ByteBuffer;

/** What a capture file is written as: in nanoseconds and little-endian, frames of Ethernet. */
enum CaptureFormat {
    PCAP {
        @Override
        int recordSize(final int length) {
            return PCAP_RECORD_HEADER + length;
        }

        @Override
        void putFileHeader(final ByteBuffer to) {
            to.putInt(0xA1B23C4D).putShort((short) 2).putShort((short) 4).putLong(0);
            to.putInt(SNAP_LENGTH).putInt(ETHERNET);
        }

        @Override
        void putFront(final ByteBuffer to, final long nanos, final int length, final long originalLength) {
            to.putInt((int) (nanos / NANOS_PER_SECOND)).putInt((int) (nanos % NANOS_PER_SECOND));
            to.putInt(length).putInt((int) originalLength);
        }

        @Override
        void putBack(final ByteBuffer to, final int length) {}
    },

    PCAPNG {
        @Override
        int recordSize(final int length) {
            return ENHANCED_PACKET_SIZE + (length + 3 & -4);
        }

        @Override
        void putFileHeader(final ByteBuffer to) {
            to.putInt(PcapngReader.SECTION_HEADER).putInt(SECTION_SIZE).putInt(0x1A2B3C4D);
            to.putShort((short) 1).putShort((short) 0).putLong(-1).putInt(SECTION_SIZE);
            to.putInt(1).putInt(INTERFACE_SIZE);
            to.putShort((short) ETHERNET).putShort((short) 0).putInt(SNAP_LENGTH);
            // if_tsresol: 10^-9; then the end of the options.
            to.putShort((short) 9).putShort((short) 1).putInt(9).putInt(0).putInt(INTERFACE_SIZE);
        }

        @Override
        void putFront(final ByteBuffer to, final long nanos, final int length, final long originalLength) {
            to.putInt(6).putInt(recordSize(length)).putInt(0);
            to.putInt((int) (nanos >>> 32)).putInt((int) nanos).putInt(length).putInt((int) originalLength);
        }

        @Override
        void putBack(final ByteBuffer to, final int length) {
            for (int i = length; i % 4 != 0; i++) {
                to.put((byte) 0);
            }
            to.putInt(recordSize(length));
        }
    };

    static final int MAX_FILE_HEADER = 64;

    private static final int SNAP_LENGTH = 262_144;
    private static final int ETHERNET = 1;
    private static final long NANOS_PER_SECOND = 1_000_000_000;
    private static final int PCAP_RECORD_HEADER = 16;
    private static final int SECTION_SIZE = 28;
    private static final int INTERFACE_SIZE = 32;
    private static final int ENHANCED_PACKET_SIZE = 32;

    private static final CaptureFormat[] VALUES = values();

    /** By the end of the file's name. */
    static CaptureFormat of(final String name) {
        return VALUES[name.endsWith(".pcapng") ? 1 : 0];
    }

    /** Bytes in the file of a frame of so many. */
    abstract int recordSize(int length);

    abstract void putFileHeader(ByteBuffer to);

    /** What stands before a frame. */
    abstract void putFront(ByteBuffer to, long nanos, int length, long originalLength);

    /** What stands behind a frame. */
    abstract void putBack(ByteBuffer to, int length);
}

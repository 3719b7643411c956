package org.mypervisor.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;

/**
 * An Ethernet frame with tags, IPv4, and UDP or TCP, and the virtio-net header in front of it.
 *
 * @param header as it was sent or has arrived, 10 bytes
 */
record WireFrame(byte[] header, byte[] bytes) {
    private static final int HEADER_SIZE = 10;
    private static final int NEEDS_CSUM = 1;
    private static final int GSO_TCPV4 = 1;
    private static final int IP_LENGTH = 20;
    private static final int UDP_LENGTH = 8;
    private static final int TCP_LENGTH = 20;
    private static final int UDP_CHECKSUM = 6;
    private static final int TCP_CHECKSUM = 16;
    private static final int MAC_ADDRESSES = 12;

    /** Tags stand between the addresses and the type, each as TPID and TCI. */
    static int ethernetLength(final List<Integer> tags) {
        return MAC_ADDRESSES + 4 * tags.size() + 2;
    }

    /** A UDP datagram in a frame of this length, with its checksum or one that is left to do. */
    static WireFrame udp(final Random random, final List<Integer> tags, final int length, final boolean needsCsum) {
        final byte[] payload = new byte[length - ethernetLength(tags) - IP_LENGTH - UDP_LENGTH];
        random.nextBytes(payload);
        final ByteBuffer header = ByteBuffer.allocate(UDP_LENGTH);
        header.putShort((short) 1234).putShort((short) 5678).putShort((short) (UDP_LENGTH + payload.length));
        return unsummed(tags, 17, header.array(), payload, UDP_CHECKSUM, 0).orSummed(needsCsum);
    }

    /** A TCP segment far too long, to be cut into such of so many bytes. */
    static WireFrame tcp(final Random random, final List<Integer> tags, final int payloadLength, final int gsoSize) {
        final byte[] payload = new byte[payloadLength];
        random.nextBytes(payload);
        final ByteBuffer header = ByteBuffer.allocate(TCP_LENGTH);
        header.putShort((short) 1234)
                .putShort((short) 5678)
                .putInt(1000)
                .putInt(2000)
                .putShort((short) 0x5010);
        header.putShort((short) 500);
        return unsummed(tags, 6, header.array(), payload, TCP_CHECKSUM, gsoSize);
    }

    private static WireFrame unsummed(
            final List<Integer> tags,
            final int protocol,
            final byte[] transport,
            final byte[] payload,
            final int checksumOffset,
            final int gsoSize) {
        final int start = ethernetLength(tags) + IP_LENGTH;
        final ByteBuffer frame = ByteBuffer.allocate(start + transport.length + payload.length);
        frame.put(new byte[] {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1});
        tags.forEach(frame::putInt);
        frame.putShort((short) 0x0800);
        final int ipLength = IP_LENGTH + transport.length + payload.length;
        frame.putShort((short) 0x4500).putShort((short) ipLength).putInt(0x1234_0000);
        frame.put((byte) 64)
                .put((byte) protocol)
                .putShort((short) 0)
                .putInt(0x0A580101)
                .putInt(0x0A580102);
        frame.putShort(start - IP_LENGTH + 10, (short) ~sum(frame.array(), start - IP_LENGTH, start));
        frame.put(transport).put(payload);
        // Of the pseudo header, as it stands there until the sum is made.
        final int pseudo = sum(frame.array(), start - 8, start) + protocol + transport.length + payload.length;
        frame.putShort(start + checksumOffset, (short) fold(pseudo));
        final ByteBuffer header = ByteBuffer.allocate(HEADER_SIZE).order(ByteOrder.LITTLE_ENDIAN);
        header.put((byte) NEEDS_CSUM).put((byte) (gsoSize == 0 ? 0 : GSO_TCPV4));
        header.putShort((short) (gsoSize == 0 ? 0 : start + transport.length)).putShort((short) gsoSize);
        header.putShort((short) start).putShort((short) checksumOffset);
        return new WireFrame(header.array(), frame.array());
    }

    private WireFrame orSummed(final boolean needsCsum) {
        return needsCsum ? this : new WireFrame(new byte[HEADER_SIZE], finished());
    }

    private int le16(final int at) {
        return header[at] & 0xFF | (header[at + 1] & 0xFF) << 8;
    }

    /** The frame with its checksum, whoever has to make that. */
    byte[] finished() {
        final byte[] finished = bytes.clone();
        if ((header[0] & NEEDS_CSUM) != 0) {
            final int start = le16(6);
            final int made = ~sum(finished, start, finished.length) & 0xFFFF;
            final boolean udp = le16(8) == UDP_CHECKSUM;
            ByteBuffer.wrap(finished).putShort(start + le16(8), (short) (made == 0 && udp ? 0xFFFF : made));
        }
        return finished;
    }

    boolean isGso() {
        return header[1] != 0;
    }

    byte[] payload(final int from) {
        return java.util.Arrays.copyOfRange(bytes, from, bytes.length);
    }

    /** Whether IP header and TCP segment have the right checksums, behind so many bytes of Ethernet. */
    boolean hasGoodSums(final int ethernetLength) {
        final byte[] frame = finished();
        final int start = ethernetLength + IP_LENGTH;
        final int pseudo = sum(frame, start - 8, start) + 6 + frame.length - start;
        return sum(frame, ethernetLength, start) == 0xFFFF && fold(pseudo + sum(frame, start, frame.length)) == 0xFFFF;
    }

    private static int sum(final byte[] data, final int from, final int to) {
        int sum = 0;
        for (int i = from; i < to; i++) {
            sum += (i - from) % 2 == 0 ? (data[i] & 0xFF) << 8 : data[i] & 0xFF;
            sum = fold(sum);
        }
        return sum;
    }

    private static int fold(final int sum) {
        final int once = (sum & 0xFFFF) + (sum >>> 16);
        return (once & 0xFFFF) + (once >>> 16);
    }

    /** As {@code net frames} reads and writes it. */
    String toHex() {
        return HexFormat.of().formatHex(header) + " " + HexFormat.of().formatHex(bytes);
    }

    static WireFrame fromHex(final String line) {
        final String[] words = line.split(" ");
        return new WireFrame(HexFormat.of().parseHex(words[0]), HexFormat.of().parseHex(words[1]));
    }
}

package org.mypervisor.offload.capture;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** Writes capture files as the two formats' documents say, without the code under test. */
public final class CaptureFiles {
    private static final int ROOM = 1 << 20;

    private CaptureFiles() {}

    /** @param originalLength bytes on the wire, at least those that are there */
    public record Frame(long nanos, byte[] bytes, int originalLength) {}

    /** The kinds of files that there are. */
    public enum Kind {
        PCAP_MICRO_LITTLE,
        PCAP_MICRO_BIG,
        PCAP_NANO_LITTLE,
        PCAP_NANO_BIG,
        PCAPNG_LITTLE,
        PCAPNG_BIG;

        ByteOrder order() {
            return name().endsWith("LITTLE") ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
        }

        public byte[] write(final List<Frame> frames) {
            return name().startsWith("PCAPNG")
                    ? pcapng(order(), 0, frames)
                    : pcap(order(), name().contains("NANO"), 65_589, frames);
        }
    }

    private static byte[] bytes(final ByteBuffer buffer) {
        final byte[] bytes = new byte[buffer.position()];
        buffer.flip().get(bytes);
        return bytes;
    }

    private static int room(final List<Frame> frames) {
        return ROOM + frames.stream().mapToInt(frame -> frame.bytes.length + 40).sum();
    }

    public static byte[] pcap(
            final ByteOrder order, final boolean nanos, final int snapLength, final List<Frame> frames) {
        final ByteBuffer to = ByteBuffer.allocate(room(frames)).order(order);
        to.putInt(nanos ? 0xa1b23c4d : 0xa1b2c3d4).putShort((short) 2).putShort((short) 4);
        to.putInt(0).putInt(0).putInt(snapLength).putInt(1);
        for (final Frame frame : frames) {
            to.putInt((int) (frame.nanos / 1_000_000_000));
            to.putInt((int) (frame.nanos % 1_000_000_000) / (nanos ? 1 : 1000));
            to.putInt(frame.bytes.length).putInt(frame.originalLength).put(frame.bytes);
        }
        return bytes(to);
    }

    /** One section with one interface that counts nanoseconds. */
    public static byte[] pcapng(final ByteOrder order, final int snapLength, final List<Frame> frames) {
        final ByteBuffer to = ByteBuffer.allocate(room(frames)).order(order);
        section(to);
        interfaceBlock(to, 1, snapLength, 9);
        frames.forEach(frame -> enhancedPacket(to, 0, frame.nanos, frame));
        return bytes(to);
    }

    /** What {@code write} puts together. */
    interface Blocks {
        void put(ByteBuffer to);
    }

    static byte[] of(final ByteOrder order, final Blocks blocks) {
        return of(order, ROOM, blocks);
    }

    /** @param room most bytes that it can have */
    static byte[] of(final ByteOrder order, final int room, final Blocks blocks) {
        final ByteBuffer to = ByteBuffer.allocate(room).order(order);
        blocks.put(to);
        return bytes(to);
    }

    static void section(final ByteBuffer to) {
        to.putInt(0x0a0d0d0a).putInt(28).putInt(0x1a2b3c4d);
        to.putShort((short) 1).putShort((short) 0).putLong(-1).putInt(28);
    }

    /** @param resolution as in if_tsresol */
    static void interfaceBlock(final ByteBuffer to, final int linkType, final int snapLength, final int resolution) {
        to.putInt(1).putInt(32).putShort((short) linkType).putShort((short) 0).putInt(snapLength);
        to.putShort((short) 9).putShort((short) 1).put((byte) resolution).put(new byte[3]);
        to.putInt(0).putInt(32);
    }

    static void enhancedPacket(final ByteBuffer to, final int from, final long ticks, final Frame frame) {
        final int padded = (frame.bytes.length + 3) / 4 * 4;
        to.putInt(6)
                .putInt(32 + padded)
                .putInt(from)
                .putInt((int) (ticks >>> 32))
                .putInt((int) ticks);
        to.putInt(frame.bytes.length).putInt(frame.originalLength).put(frame.bytes);
        to.put(new byte[padded - frame.bytes.length]).putInt(32 + padded);
    }

    static void simplePacket(final ByteBuffer to, final byte[] frame, final int originalLength) {
        final int padded = (frame.length + 3) / 4 * 4;
        to.putInt(3).putInt(16 + padded).putInt(originalLength).put(frame);
        to.put(new byte[padded - frame.length]).putInt(16 + padded);
    }

    static void obsoletePacket(final ByteBuffer to, final int from, final long ticks, final Frame frame) {
        final int padded = (frame.bytes.length + 3) / 4 * 4;
        to.putInt(2).putInt(32 + padded).putShort((short) from).putShort((short) 7);
        to.putInt((int) (ticks >>> 32)).putInt((int) ticks);
        to.putInt(frame.bytes.length).putInt(frame.originalLength).put(frame.bytes);
        to.put(new byte[padded - frame.bytes.length]).putInt(32 + padded);
    }

    /** A block of which only the body is given. */
    static void block(final ByteBuffer to, final int type, final Blocks body) {
        final int begin = to.position();
        to.putInt(type).putInt(0);
        body.put(to);
        final int total = to.position() - begin + 4;
        to.putInt(total).putInt(begin + 4, total);
    }

    static void option(final ByteBuffer to, final int code, final byte... value) {
        to.putShort((short) code).putShort((short) value.length).put(value);
        to.put(new byte[(value.length + 3) / 4 * 4 - value.length]);
    }

    /** One of Ethernet with these options, whose end is not said. */
    static void interfaceBlock(final ByteBuffer to, final Blocks options) {
        block(
                to,
                1,
                body -> options.put(body.putInt(to.order() == ByteOrder.BIG_ENDIAN ? 1 << 16 : 1)
                        .putInt(0)));
    }

    /** A frame of interface 0 with these options behind it. */
    static void enhancedPacket(final ByteBuffer to, final long ticks, final Frame frame, final Blocks options) {
        block(to, 6, body -> {
            body.putInt(0).putInt((int) (ticks >>> 32)).putInt((int) ticks);
            body.putInt(frame.bytes.length).putInt(frame.originalLength).put(frame.bytes);
            body.put(new byte[(frame.bytes.length + 3) / 4 * 4 - frame.bytes.length]);
            options.put(body);
        });
    }

    static void otherBlock(final ByteBuffer to, final int type, final int words) {
        to.putInt(type).putInt(12 + 4 * words).put(new byte[4 * words]).putInt(12 + 4 * words);
    }
}

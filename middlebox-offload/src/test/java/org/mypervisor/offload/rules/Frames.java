package org.mypervisor.offload.rules;

import java.io.ByteArrayOutputStream;
import java.util.HexFormat;
import org.mypervisor.offload.Packet;
import org.mypervisor.virtqueue.RawMemory;

/** Frames for tests, byte by byte after the RFCs, with no help from the code under test. */
public final class Frames {
    private static final String MACS = "020000000002" + "020000000001";

    private Frames() {}

    public static byte[] hex(final String... digits) {
        return HexFormat.of().parseHex(String.join("", digits).replace(" ", ""));
    }

    public static byte[] join(final byte[]... parts) {
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (final byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    /** An Ethernet frame; the types are those of the tags in front and of the payload, as hex with the tags' TCI. */
    public static byte[] ethernet(final String typesHex, final byte[] payload) {
        return join(hex(MACS, typesHex), payload);
    }

    public static byte[] ipv4(final int protocol, final String source, final String destination, final byte[] payload) {
        return ipv4Fragment(protocol, source, destination, 0, payload);
    }

    /** IPv4 with this value of flags and fragment offset (RFC 791 §3.1); the addresses as eight hex digits. */
    public static byte[] ipv4Fragment(
            final int protocol,
            final String source,
            final String destination,
            final int fragment,
            final byte[] payload) {
        return join(
                hex("4500"),
                be16(20 + payload.length),
                hex("1234"),
                be16(fragment),
                new byte[] {64, (byte) protocol},
                hex("0000", source, destination),
                payload);
    }

    /** IPv6 (RFC 8200 §3); the addresses as 32 hex digits. */
    public static byte[] ipv6(final int next, final String source, final String destination, final byte[] payload) {
        return join(
                hex("60000000"), be16(payload.length), new byte[] {(byte) next, 64}, hex(source, destination), payload);
    }

    public static byte[] tcp(final int source, final int destination) {
        return join(be16(source), be16(destination), hex("00000001 00000000 5002 ffff 0000 0000"));
    }

    public static byte[] udp(final int source, final int destination) {
        return join(be16(source), be16(destination), be16(8), be16(0));
    }

    /** An option, routing, mobility, HIP or shim6 header of this many bytes, a multiple of eight. */
    public static byte[] extension(final int next, final int length) {
        final byte[] header = new byte[length];
        header[0] = (byte) next;
        header[1] = (byte) (length / 8 - 1);
        return header;
    }

    /** An authentication header of this many bytes (RFC 4302 §2.2), a multiple of four. */
    public static byte[] authentication(final int next, final int length) {
        final byte[] header = new byte[length];
        header[0] = (byte) next;
        header[1] = (byte) (length / 4 - 2);
        return header;
    }

    /** A fragment header (RFC 8200 §4.5); the offset counts units of eight bytes. */
    public static byte[] fragment(final int next, final int offset, final boolean more) {
        return join(new byte[] {(byte) next, 0}, be16(offset << 3 | (more ? 1 : 0)), hex("00000007"));
    }

    public static byte[] be16(final int value) {
        return new byte[] {(byte) (value >>> 8), (byte) value};
    }

    /** The frame's first bytes as a worker would load them. */
    public static Packet load(final Packet packet, final byte[] frame) {
        for (int i = 0; i < Math.min(frame.length, Packet.SNAPSHOT_SIZE); i++) {
            RawMemory.putU8(packet.address() + i, frame[i]);
        }
        packet.load(frame.length);
        return packet;
    }
}

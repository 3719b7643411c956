package org.mypervisor.offload.gso;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.Random;

/**
 * Frames of one random TCP or UDP flow, written from RFC 768, 791, 8200 and 9293 with one byte array after the other:
 * what a sender hands over for segmentation, and what has to arrive on the wire.
 */
public final class Flow {
    private static final int HOP_BY_HOP = 0;
    private static final int ROUTING = 43;
    private static final int DESTINATION_OPTIONS = 60;

    final boolean ipv6;
    final boolean tcp;
    int sequence;
    int identification;
    int flags;

    private final byte[] ethernet;
    private final byte[] source;
    private final byte[] destination;
    /** Where a routing header takes the packet, which is what the pseudo header says. */
    private final byte[] finalDestination;

    private final byte[] ipv4Options;
    private final int[] extensionNumbers;
    private final byte[][] extensions;
    private final byte[] ports;
    private final byte[] tcpOptions;
    private final byte[] tcpRest;

    /**
     * @param ipExtras words of IPv4 options, or IPv6 extension headers up to 3
     */
    public Flow(final Random random, final boolean ipv6, final boolean tcp, final int tags, final int ipExtras) {
        this.ipv6 = ipv6;
        this.tcp = tcp;
        ethernet = ethernet(random, ipv6, tags);
        source = bytes(random, ipv6 ? 16 : 4);
        destination = bytes(random, ipv6 ? 16 : 4);
        ipv4Options = bytes(random, ipv6 ? 0 : ipExtras * 4);
        extensionNumbers = new int[ipv6 ? ipExtras : 0];
        extensions = new byte[extensionNumbers.length][];
        boolean routed = false;
        for (int i = 0; i < extensions.length; i++) {
            final int number = new int[] {HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS}[i];
            extensionNumbers[i] = number;
            extensions[i] = bytes(random, 8 * (1 + random.nextInt(4)));
            routed |= number == ROUTING;
        }
        finalDestination = routed ? bytes(random, 16) : destination;
        ports = bytes(random, 4);
        tcpOptions = bytes(random, random.nextInt(11) * 4);
        tcpRest = bytes(random, 8);
        sequence = random.nextInt();
        identification = random.nextInt(0x10000);
        flags = random.nextInt(0x100);
    }

    private static byte[] ethernet(final Random random, final boolean ipv6, final int tags) {
        final ByteBuffer header = ByteBuffer.allocate(14 + 4 * tags).put(bytes(random, 12));
        for (int i = tags; i > 0; i--) {
            header.putShort((short) (i > 1 ? 0x88A8 : 0x8100)).putShort((short) random.nextInt());
        }
        return header.putShort((short) (ipv6 ? 0x86DD : 0x0800)).array();
    }

    public static byte[] bytes(final Random random, final int length) {
        final byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    public boolean isIpv6() {
        return ipv6;
    }

    int l3() {
        return ethernet.length;
    }

    public int l4() {
        int offset = l3() + (ipv6 ? 40 : 20 + ipv4Options.length);
        for (final byte[] extension : extensions) {
            offset += extension.length;
        }
        return offset;
    }

    public int headerLength() {
        return l4() + (tcp ? 20 + tcpOptions.length : 8);
    }

    public int csumOffset() {
        return tcp ? 16 : 6;
    }

    public int gsoType() {
        return tcp ? (ipv6 ? Requests.TCPV6 : Requests.TCPV4) : Requests.UDP_L4;
    }

    OffloadRequest request(final int gsoSize) {
        return Requests.gso(gsoType(), gsoSize, l4(), csumOffset());
    }

    /** The frame for the device to segment: the pseudo-header sum is in the checksum field. */
    public byte[] forDevice(final byte[] payload) {
        return frame(payload, identification, sequence, flags, true);
    }

    /** The same frame complete, as it goes on a wire uncut. */
    public byte[] whole(final byte[] payload) {
        return segment(payload, 0, 1, 0);
    }

    /** A frame for the wire, of this many that the payload is cut into. */
    public byte[] segment(final byte[] payload, final int index, final int count, final int offset) {
        int ownFlags = flags;
        if (index != count - 1) {
            ownFlags &= ~(1 | 8);
        }
        if (index != 0) {
            ownFlags &= ~0x80;
        }
        return frame(payload, identification + index, sequence + offset, ownFlags, false);
    }

    private byte[] frame(final byte[] payload, final int id, final int seq, final int tcpFlags, final boolean partial) {
        final byte[] l4 = tcp ? tcp(payload, seq, tcpFlags) : udp(payload);
        final int pseudoSum = sum(pseudoHeader(l4.length));
        final int csum = csumOffset();
        if (partial) {
            l4[csum] = (byte) (pseudoSum >>> 8);
            l4[csum + 1] = (byte) pseudoSum;
        } else {
            int checksum = ~sum(join(pseudoHeader(l4.length), l4)) & 0xFFFF;
            if (checksum == 0 && !tcp) {
                checksum = 0xFFFF;
            }
            l4[csum] = (byte) (checksum >>> 8);
            l4[csum + 1] = (byte) checksum;
        }
        return join(ethernet, ipv6 ? ipv6(l4) : ipv4(l4, id));
    }

    private byte[] tcp(final byte[] payload, final int seq, final int tcpFlags) {
        final int words = 5 + tcpOptions.length / 4;
        return ByteBuffer.allocate(words * 4 + payload.length)
                .put(ports)
                .putInt(seq)
                .put(tcpRest, 0, 4)
                .put((byte) (words << 4))
                .put((byte) tcpFlags)
                .put(tcpRest, 4, 2)
                .putShort((short) 0)
                .put(tcpRest, 6, 2)
                .put(tcpOptions)
                .put(payload)
                .array();
    }

    private byte[] udp(final byte[] payload) {
        return ByteBuffer.allocate(8 + payload.length)
                .put(ports)
                .putShort((short) (8 + payload.length))
                .putShort((short) 0)
                .put(payload)
                .array();
    }

    private byte[] pseudoHeader(final int length) {
        final ByteBuffer header =
                ByteBuffer.allocate(ipv6 ? 40 : 12).put(source).put(finalDestination);
        final int protocol = tcp ? 6 : 17;
        return ipv6
                ? header.putInt(length).putInt(protocol).array()
                : header.putShort((short) protocol).putShort((short) length).array();
    }

    private byte[] ipv4(final byte[] l4, final int id) {
        final int headerLength = 20 + ipv4Options.length;
        final byte[] header = ByteBuffer.allocate(headerLength)
                .put((byte) (0x40 | headerLength / 4))
                .put((byte) 0x02)
                .putShort((short) (headerLength + l4.length))
                .putShort((short) id)
                .putShort((short) 0x4000)
                .put((byte) 64)
                .put((byte) (tcp ? 6 : 17))
                .putShort((short) 0)
                .put(source)
                .put(destination)
                .put(ipv4Options)
                .array();
        final int checksum = ~sum(header) & 0xFFFF;
        header[10] = (byte) (checksum >>> 8);
        header[11] = (byte) checksum;
        return join(header, l4);
    }

    private byte[] ipv6(final byte[] l4) {
        byte[] rest = l4;
        int next = tcp ? 6 : 17;
        for (int i = extensions.length - 1; i >= 0; i--) {
            final byte[] extension = extensions[i].clone();
            extension[0] = (byte) next;
            extension[1] = (byte) (extension.length / 8 - 1);
            next = extensionNumbers[i];
            rest = join(extension, rest);
        }
        final byte[] header = ByteBuffer.allocate(40)
                .putInt(0x6021_2345)
                .putShort((short) rest.length)
                .put((byte) next)
                .put((byte) 64)
                .put(source)
                .put(destination)
                .array();
        return join(header, rest);
    }

    /** RFC 1071 §1, word by word. */
    static int sum(final byte[] bytes) {
        int sum = 0;
        for (int i = 0; i < bytes.length; i++) {
            sum += (bytes[i] & 0xFF) << (i % 2 == 0 ? 8 : 0);
            sum = (sum & 0xFFFF) + (sum >>> 16);
        }
        return sum;
    }

    static byte[] join(final byte[]... parts) {
        final ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (final byte[] part : parts) {
            joined.writeBytes(part);
        }
        return joined.toByteArray();
    }

    @Override
    public String toString() {
        return (ipv6 ? "IPv6 with " + extensions.length + " extension headers" : "IPv4, options " + ipv4Options.length)
                + ", " + (tcp ? "TCP, options " + tcpOptions.length : "UDP") + ", Ethernet header " + ethernet.length;
    }
}

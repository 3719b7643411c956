package org.mypervisor.offload.gso;

import static org.mypervisor.offload.gso.InternetChecksum.word;
import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_ECN;
import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_TCPV4;
import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_TCPV6;
import static org.mypervisor.offload.gso.OffloadRequest.VIRTIO_NET_HDR_GSO_UDP_L4;
import static org.mypervisor.virtqueue.RawMemory.be16;
import static org.mypervisor.virtqueue.RawMemory.be32;
import static org.mypervisor.virtqueue.RawMemory.putLe16;
import static org.mypervisor.virtqueue.RawMemory.putLe32;
import static org.mypervisor.virtqueue.RawMemory.putU8;
import static org.mypervisor.virtqueue.RawMemory.u8;

import org.mypervisor.virtqueue.RawMemory;

/**
 * Cuts a GSO frame of TCP, or of UDP datagrams, into the frames that go on a wire, with complete checksums.
 *
 * <p>{@link #begin}, then per segment {@link #next} and the headers from {@link #headerAddress} followed by the payload
 * from {@link #payloadAddress}: the headers are rewritten in a buffer of this object's, the payload stays where it is.
 * The frame is in private memory and stays there unchanged until the last segment. Both addresses are valid until the
 * following {@code next}.
 *
 * <p>As the specification has it, the checksum field is relied on to hold the pseudo-header sum of the whole frame;
 * what segments differ in is their length. So the result is right also where the addresses in the IP header are not
 * those of the pseudo header (routing header, RFC 8200 §8.1; home address option, RFC 6275 §11.3.1).
 *
 * <p>One instance per wire, owned by that wire's worker thread.
 */
public final class Segmenter {
    /**
     * Most segments of one frame: a frame with more is refused. A guest must not make a frame with a {@code gso_size}
     * of 1 the work of 65,000. The longest frame with a TCP segment size of 88, the smallest that Linux takes from a
     * peer, comes to some 860 with timestamps; a frame of UDP datagrams in Linux to 128 at most.
     */
    public static final int MAX_SEGMENTS = 1024;

    /** Longest frame of a driver: an IPv6 header with 65,535 bytes, behind an Ethernet header. */
    private static final int MAX_FRAME_LENGTH = 65_589;

    private static final int MAX_TCP_LENGTH = 60;
    private static final int MAX_16_BITS = 0xFFFF;

    private static final int TCP = 6;
    private static final int TCP_LENGTH = 20;
    private static final int TCP_SEQUENCE_OFFSET = 4;
    private static final int TCP_DATA_OFFSET_OFFSET = 12;
    private static final int TCP_FLAGS_OFFSET = 13;
    private static final int TCP_CSUM_OFFSET = 16;
    private static final int TCP_FIN_PSH = 0x09;
    private static final int TCP_CWR = 0x80;

    private static final int UDP = 17;
    private static final int UDP_LENGTH = 8;
    private static final int UDP_LENGTH_OFFSET = 4;
    private static final int UDP_CSUM_OFFSET = InternetChecksum.UDP_CSUM_OFFSET;

    private static final int IPV4_TOTAL_LENGTH_OFFSET = 2;
    private static final int IPV4_IDENTIFICATION_OFFSET = 4;
    private static final int IPV4_CSUM_OFFSET = 10;
    private static final int IPV6_PAYLOAD_LENGTH_OFFSET = 4;

    private final IpHeaders ip = new IpHeaders();
    private final long header = RawMemory.allocate(IpHeaders.MAX_L4_OFFSET + MAX_TCP_LENGTH);

    private long frame;
    private int gsoSize;
    private int headerLength;
    private int totalPayloadLength;
    private int segments;

    private int index;
    private int payloadOffset;
    private int payloadLength;

    private int identification;
    private int sequence;
    private int tcpFlags;
    /** The pseudo-header sum without its length. */
    private long pseudoSum;

    /**
     * Starts with a frame; what was left of the one before is forgotten. The frame must be TCP over IPv4 or IPv6 or UDP
     * over either, as {@code gso_type} says, with {@code csum_start} and {@code csum_offset} pointing at that header's
     * checksum; {@code hdr_len} is not looked at. Refused besides: IP fragments, what AH or ESP protects, a TCP or UDP
     * header that begins behind byte 448, and what would come to segments longer than IP can say or to more than
     * {@link #MAX_SEGMENTS}.
     *
     * <p>Bytes behind the end of the IP packet are padding and appear in no segment. An IP length of 0 stands for all
     * of the frame; the length in a UDP header is not looked at.
     *
     * @param newFrame host address of the Ethernet header, private memory
     * @param frameLength in bytes
     * @return false if the frame is refused: there are no segments then
     */
    public boolean begin(final long newFrame, final int frameLength, final OffloadRequest request) {
        frame = newFrame;
        index = 0;
        segments = 0;
        if (frameLength > MAX_FRAME_LENGTH
                || !request.isValid(frameLength)
                || !ip.parse(frame, frameLength, frameLength)) {
            return false;
        }
        final int protocol = protocolOf(request.gsoType());
        final int l4HeaderLength = l4HeaderLength();
        headerLength = ip.l4() + l4HeaderLength;
        if (protocol != ip.protocol()
                || l4HeaderLength == 0
                || request.csumStart() != ip.l4()
                || request.csumOffset() != csumOffset()) {
            return false;
        }
        gsoSize = request.gsoSize();
        totalPayloadLength = ip.end() - headerLength;
        final int longestIp = headerLength + Math.min(gsoSize, totalPayloadLength) - lengthBase();
        final int count = Math.max(1, (totalPayloadLength + gsoSize - 1) / gsoSize);
        if (longestIp > MAX_16_BITS || count > MAX_SEGMENTS) {
            return false;
        }
        segments = count;
        loadHeaders();
        return true;
    }

    /** The protocol that a type of this IP version is about, or -1. */
    private int protocolOf(final int gsoType) {
        return switch (gsoType & ~VIRTIO_NET_HDR_GSO_ECN) {
            case VIRTIO_NET_HDR_GSO_TCPV4 -> ip.isIpv6() ? -1 : TCP;
            case VIRTIO_NET_HDR_GSO_TCPV6 -> ip.isIpv6() ? TCP : -1;
            case VIRTIO_NET_HDR_GSO_UDP_L4 -> UDP;
            default -> -1;
        };
    }

    /** Bytes of the TCP or UDP header, or 0 if there is none, whole and inside the IP packet. */
    private int l4HeaderLength() {
        final int room = ip.end() - ip.l4();
        if (ip.protocol() != TCP) {
            return room < UDP_LENGTH ? 0 : UDP_LENGTH;
        }
        if (room < TCP_LENGTH) {
            return 0;
        }
        final int length = (u8(frame + ip.l4() + TCP_DATA_OFFSET_OFFSET) >>> 4) * 4;
        return length < TCP_LENGTH || length > room ? 0 : length;
    }

    private int csumOffset() {
        return ip.protocol() == TCP ? TCP_CSUM_OFFSET : UDP_CSUM_OFFSET;
    }

    /** Offset from which the IP header's length counts. */
    private int lengthBase() {
        return ip.isIpv6() ? ip.l3() + IpHeaders.IPV6_LENGTH : ip.l3();
    }

    /** What all segments have in common, and what they begin to count from. */
    private void loadHeaders() {
        RawMemory.copy(frame, header, headerLength);
        final long l4 = header + ip.l4();
        identification = be16(header + ip.l3() + IPV4_IDENTIFICATION_OFFSET);
        sequence = be32(l4 + TCP_SEQUENCE_OFFSET);
        tcpFlags = u8(l4 + TCP_FLAGS_OFFSET);
        // Subtraction in ones' complement is addition of the complement.
        pseudoSum = word(be16(l4 + csumOffset())) + (long) word(~(ip.end() - ip.l4()));
    }

    /**
     * Prepares the next segment, the first one after {@link #begin}.
     *
     * @return false when all were prepared or the frame was refused
     */
    public boolean next() {
        if (index == segments) {
            return false;
        }
        payloadOffset = index * gsoSize;
        payloadLength = Math.min(gsoSize, totalPayloadLength - payloadOffset);
        if (ip.isIpv6()) {
            putBe16(header + ip.l3() + IPV6_PAYLOAD_LENGTH_OFFSET, headerLength + payloadLength - lengthBase());
        } else {
            completeIpv4();
        }
        final long l4 = header + ip.l4();
        if (ip.protocol() == TCP) {
            putLe32(l4 + TCP_SEQUENCE_OFFSET, Integer.reverseBytes(sequence + payloadOffset));
            putU8(l4 + TCP_FLAGS_OFFSET, tcpFlagsOfSegment());
        } else {
            putBe16(l4 + UDP_LENGTH_OFFSET, UDP_LENGTH + payloadLength);
        }
        completeL4(l4);
        index++;
        return true;
    }

    private void completeIpv4() {
        final long ipv4 = header + ip.l3();
        putBe16(ipv4 + IPV4_TOTAL_LENGTH_OFFSET, headerLength + payloadLength - lengthBase());
        putBe16(ipv4 + IPV4_IDENTIFICATION_OFFSET, identification + index);
        putLe16(ipv4 + IPV4_CSUM_OFFSET, 0);
        final long sum = InternetChecksum.add(0, ipv4, ip.l4() - ip.l3());
        InternetChecksum.put(ipv4 + IPV4_CSUM_OFFSET, IPV4_CSUM_OFFSET, sum);
    }

    /**
     * The end of the stream's data, or of what was pushed, is that of the last segment. A reduced congestion window is
     * reported once, whether or not the type says that this flag is set (RFC 3168 §6.1.2).
     */
    private int tcpFlagsOfSegment() {
        final int early = index < segments - 1 ? TCP_FIN_PSH : 0;
        final int later = index > 0 ? TCP_CWR : 0;
        return tcpFlags & ~(early | later);
    }

    private void completeL4(final long l4) {
        final int l4HeaderLength = headerLength - ip.l4();
        final long field = l4 + csumOffset();
        putLe16(field, 0);
        final long headerSum =
                InternetChecksum.add(pseudoSum + word(l4HeaderLength + payloadLength), l4, l4HeaderLength);
        InternetChecksum.put(field, csumOffset(), InternetChecksum.add(headerSum, payloadAddress(), payloadLength));
    }

    private static void putBe16(final long address, final int value) {
        putLe16(address, word(value));
    }

    /** Segments of the frame, 1..{@link #MAX_SEGMENTS}; 0 if it was refused. */
    public int segments() {
        return segments;
    }

    /** Host address of the segment's headers, from Ethernet to TCP or UDP. */
    public long headerAddress() {
        return header;
    }

    /** Bytes of the headers, the same for all segments of a frame. */
    public int headerLength() {
        return headerLength;
    }

    /** Host address of the segment's payload, in the frame. */
    public long payloadAddress() {
        return frame + headerLength + payloadOffset;
    }

    /** Bytes of payload: {@code gso_size}, less in the last segment, 0 only if the frame had none. */
    public int payloadLength() {
        return payloadLength;
    }
}

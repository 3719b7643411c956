package org.mypervisor.offload.gso;

import static org.mypervisor.virtqueue.RawMemory.be16;
import static org.mypervisor.virtqueue.RawMemory.u8;

/**
 * Finds where the IP and the TCP or UDP header of a frame begin and where its IP packet ends, behind any 802.1Q and
 * 802.1ad tags and IPv6 extension headers.
 *
 * <p>Unlike the reader behind filter rules, it finds nothing in a frame that segmentation would spoil: fragments, and
 * what IPsec protects. One instance per user, owned by its thread. Reads private memory, inside the frame
 * only.
 */
public final class IpHeaders {
    static final int ETHER_TYPE_IPV4 = 0x0800;
    static final int ETHER_TYPE_IPV6 = 0x86DD;

    /** No ether type: a frame cut inside its tags. */
    static final int NONE = -1;

    static final int IPV6_LENGTH = 40;

    /** Bytes of a frame in which its TCP or UDP header has to begin, which bounds the work on tags and extensions. */
    static final int MAX_L4_OFFSET = 448;

    private static final int ETHERNET_LENGTH = 14;
    private static final int ETHER_TYPE_8021Q = 0x8100;
    private static final int ETHER_TYPE_8021AD = 0x88A8;
    private static final int TAG_LENGTH = 4;
    private static final int IPV4_LENGTH = 20;
    /** More fragments, or an offset: the reserved bit and "don't fragment" do not make a fragment. */
    private static final int IPV4_FRAGMENT = 0x3FFF;

    private static final int TCP = 6;
    private static final int TCP_CSUM_OFFSET = 16;
    private static final int UDP = 17;

    private static final int HOP_BY_HOP = 0;
    private static final int ROUTING = 43;
    private static final int DESTINATION_OPTIONS = 60;
    private static final int SHORTEST_EXTENSION = 8;

    private boolean ipv6;
    private int l3;
    private int l4;
    private int end;
    private int protocol;

    /** The ether type behind all tags, or {@link #NONE}. */
    static int etherType(final long frame, final int length) {
        final int l3 = l3(frame, length);
        return l3 == NONE ? NONE : be16(frame + l3 - 2);
    }

    /** Offset of what follows the ether type, at most {@code length}; or {@link #NONE}. */
    private static int l3(final long frame, final int length) {
        int offset = ETHERNET_LENGTH;
        while (offset <= length && offset < MAX_L4_OFFSET) {
            final int type = be16(frame + offset - 2);
            if (type != ETHER_TYPE_8021Q && type != ETHER_TYPE_8021AD) {
                return offset;
            }
            offset += TAG_LENGTH;
        }
        return NONE;
    }

    /**
     * Reads a frame. After false the answers mean nothing.
     *
     * <p>The IP packet may be shorter than the frame, which then is padded. A length of 0 in the IP header, which
     * senders of GSO frames may leave for the device to fill in, stands for all of the frame.
     *
     * @param readable bytes that are there, of {@code length}
     * @return whether it is an IP packet, whole, with a transport header that can be reached
     */
    public boolean parse(final long frame, final int readable, final int length) {
        l3 = l3(frame, readable);
        if (l3 == NONE) {
            return false;
        }
        final int type = be16(frame + l3 - 2);
        ipv6 = type == ETHER_TYPE_IPV6;
        final boolean parsed = ipv6
                ? parseIpv6(frame, readable, length)
                : type == ETHER_TYPE_IPV4 && parseIpv4(frame, readable, length);
        return parsed && l4 <= Math.min(end, MAX_L4_OFFSET);
    }

    private boolean parseIpv4(final long frame, final int readable, final int length) {
        final long ip = frame + l3;
        if (readable - l3 < IPV4_LENGTH || u8(ip) >>> 4 != 4) {
            return false;
        }
        final int headerLength = (u8(ip) & 0xF) * 4;
        final int totalLength = be16(ip + 2);
        l4 = l3 + headerLength;
        end = totalLength == 0 ? length : l3 + totalLength;
        protocol = u8(ip + 9);
        return headerLength >= IPV4_LENGTH && end <= length && (be16(ip + 6) & IPV4_FRAGMENT) == 0;
    }

    private boolean parseIpv6(final long frame, final int readable, final int length) {
        final long ip = frame + l3;
        if (readable - l3 < IPV6_LENGTH || u8(ip) >>> 4 != 6) {
            return false;
        }
        final int payloadLength = be16(ip + 4);
        l4 = l3 + IPV6_LENGTH;
        end = payloadLength == 0 ? length : l4 + payloadLength;
        protocol = u8(ip + 6);
        return end <= length && skipExtensionHeaders(frame, readable);
    }

    /** Every extension header begins with the number of the next one (RFC 8200 §4). */
    private boolean skipExtensionHeaders(final long frame, final int readable) {
        while (protocol == HOP_BY_HOP || protocol == ROUTING || protocol == DESTINATION_OPTIONS) {
            if (l4 > MAX_L4_OFFSET || Math.min(end, readable) - l4 < SHORTEST_EXTENSION) {
                return false;
            }
            protocol = u8(frame + l4);
            l4 += (u8(frame + l4 + 1) + 1) * 8;
        }
        return true;
    }

    boolean isIpv6() {
        return ipv6;
    }

    /** Offset of the IP header in the frame. */
    int l3() {
        return l3;
    }

    /** Whether this is the checksum that the packet's TCP or UDP header has, and begins with that header. */
    public boolean isOwnChecksum(final int csumStart, final int csumOffset) {
        return csumStart == l4
                && (protocol == TCP && csumOffset == TCP_CSUM_OFFSET
                        || protocol == UDP && csumOffset == InternetChecksum.UDP_CSUM_OFFSET);
    }

    /** Offset of what follows the IP header and its extensions, up to {@link #MAX_L4_OFFSET}. */
    int l4() {
        return l4;
    }

    /** Offset of the end of the IP packet. */
    int end() {
        return end;
    }

    /** The protocol at {@link #l4}. */
    int protocol() {
        return protocol;
    }
}

package org.mypervisor.offload.rules;

import static org.mypervisor.virtqueue.RawMemory.be16;
import static org.mypervisor.virtqueue.RawMemory.be32;
import static org.mypervisor.virtqueue.RawMemory.be64;
import static org.mypervisor.virtqueue.RawMemory.u8;

import org.mypervisor.offload.Packet;

/**
 * Reads the headers of one frame as far as a rule can ask: ether type behind 802.1Q and 802.1ad tags, IP addresses,
 * protocol behind IPv6 extension headers, ports. Tunnels are not opened.
 *
 * <p>One instance per element, reused for every frame and owned by that element's worker thread. It reads a private
 * snapshot, so a byte may be read more than once. What was not reached reads as {@link Rule#ANY}, addresses as 0;
 * {@link #depth} tells how far the reading came, and with it which of the answers count.
 */
public final class Headers {
    /** Not even the ether type is known: a runt frame, or one cut inside its tags. */
    public static final int DEPTH_NONE = 0;
    /** The ether type is known, and with it the IP version. */
    public static final int DEPTH_ETHERNET = 1;
    /** The IP addresses are known too. */
    public static final int DEPTH_NETWORK = 2;
    /** Everything that such a frame has is known. Frames that are not IP get here with their ether type. */
    public static final int DEPTH_TRANSPORT = 3;

    /** {@link #family} of a frame that is not IP. */
    public static final int NOT_IP = 0;

    public static final int IPV4 = 1;
    public static final int IPV6 = 2;

    static final int ETHER_TYPE_IPV4 = 0x0800;
    static final int ETHER_TYPE_ARP = 0x0806;
    static final int ETHER_TYPE_8021Q = 0x8100;
    static final int ETHER_TYPE_IPV6 = 0x86DD;
    static final int ETHER_TYPE_8021AD = 0x88A8;

    static final int ICMP = 1;
    static final int TCP = 6;
    static final int UDP = 17;
    static final int ICMP6 = 58;

    /** IPv6 extension headers that are walked; a frame with more is not parsed further. */
    static final int MAX_EXTENSION_HEADERS = 8;

    private static final int ETHER_TYPE_OFFSET = 12;
    private static final int ETHERNET_LENGTH = 14;
    private static final int TAG_LENGTH = 4;
    private static final int IPV4_LENGTH = 20;
    private static final int IPV6_LENGTH = 40;
    private static final int FRAGMENT = 44;
    private static final int AUTHENTICATION = 51;

    private int depth;
    private int etherType;
    private int family;
    private int protocol;
    private boolean laterFragment;
    private long sourceHigh;
    private long sourceLow;
    private long destinationHigh;
    private long destinationLow;
    private int sourcePort;
    private int destinationPort;

    public void parse(final Packet packet) {
        parse(packet.address(), packet.snapshotLength());
    }

    /**
     * Reads a frame.
     *
     * @param address host address of its first byte
     * @param length bytes that may be read there; the frame itself may be longer
     */
    public void parse(final long address, final int length) {
        clear();
        if (length < ETHERNET_LENGTH) {
            return;
        }
        int type = be16(address + ETHER_TYPE_OFFSET);
        int offset = ETHERNET_LENGTH;
        while (type == ETHER_TYPE_8021Q || type == ETHER_TYPE_8021AD) {
            if (length - offset < TAG_LENGTH) {
                return;
            }
            type = be16(address + offset + 2);
            offset += TAG_LENGTH;
        }
        etherType = type;
        if (type == ETHER_TYPE_IPV4) {
            parseIpv4(address + offset, length - offset);
        } else if (type == ETHER_TYPE_IPV6) {
            parseIpv6(address + offset, length - offset);
        } else {
            depth = DEPTH_TRANSPORT;
        }
    }

    private void clear() {
        depth = DEPTH_NONE;
        etherType = Rule.ANY;
        family = NOT_IP;
        protocol = Rule.ANY;
        laterFragment = false;
        sourceHigh = 0;
        sourceLow = 0;
        destinationHigh = 0;
        destinationLow = 0;
        sourcePort = Rule.ANY;
        destinationPort = Rule.ANY;
    }

    private void parseIpv4(final long ip, final int length) {
        family = IPV4;
        depth = DEPTH_ETHERNET;
        if (length < IPV4_LENGTH || u8(ip) >>> 4 != 4) {
            return;
        }
        sourceLow = be32(ip + 12) & 0xFFFF_FFFFL;
        destinationLow = be32(ip + 16) & 0xFFFF_FFFFL;
        depth = DEPTH_NETWORK;
        final int headerLength = (u8(ip) & 0xF) * 4;
        // Bytes behind the total length are padding of the frame, not part of the datagram.
        final int end = Math.min(length, be16(ip + 2));
        if (headerLength < IPV4_LENGTH || headerLength > end) {
            return;
        }
        laterFragment = (be16(ip + 6) & 0x1FFF) != 0;
        parseTransport(u8(ip + 9), ip + headerLength, end - headerLength);
    }

    private void parseIpv6(final long ip, final int length) {
        family = IPV6;
        depth = DEPTH_ETHERNET;
        if (length < IPV6_LENGTH || u8(ip) >>> 4 != 6) {
            return;
        }
        sourceHigh = be64(ip + 8);
        sourceLow = be64(ip + 16);
        destinationHigh = be64(ip + 24);
        destinationLow = be64(ip + 32);
        depth = DEPTH_NETWORK;
        final int end = Math.min(length, IPV6_LENGTH + be16(ip + 4));
        walkExtensionHeaders(u8(ip + 6), ip + IPV6_LENGTH, end - IPV6_LENGTH);
    }

    /** Every extension header begins with the number of the next one (RFC 8200 §4). */
    private void walkExtensionHeaders(final int first, final long start, final int length) {
        int header = first;
        int offset = 0;
        for (int walked = 0; isExtensionHeader(header); walked++) {
            if (walked == MAX_EXTENSION_HEADERS || length - offset < 8) {
                return;
            }
            final long at = start + offset;
            final int next = u8(at);
            if (header == FRAGMENT && be16(at + 2) >>> 3 != 0) {
                laterFragment = true;
                // What follows is the middle of a datagram: an extension header named here is not there to be walked.
                if (isExtensionHeader(next)) {
                    return;
                }
            }
            offset += extensionLength(header, u8(at + 1));
            header = next;
        }
        parseTransport(header, start + offset, length - offset);
    }

    private static boolean isExtensionHeader(final int number) {
        return switch (number) {
            // hop-by-hop options, routing, fragment, authentication, destination options, mobility, HIP, shim6
            case 0, 43, FRAGMENT, AUTHENTICATION, 60, 135, 139, 140 -> true;
            default -> false;
        };
    }

    /** Bytes of an extension header, from its number and its length field. */
    private static int extensionLength(final int header, final int field) {
        if (header == FRAGMENT) {
            return 8;
        }
        return header == AUTHENTICATION ? (field + 2) * 4 : (field + 1) * 8;
    }

    /** The length is negative if the headers before claimed more bytes than there are. */
    private void parseTransport(final int number, final long start, final int length) {
        if (length < (laterFragment ? 0 : minimalLength(number))) {
            return;
        }
        protocol = number;
        depth = DEPTH_TRANSPORT;
        if (!laterFragment && (number == TCP || number == UDP)) {
            sourcePort = be16(start);
            destinationPort = be16(start + 2);
        }
    }

    /**
     * A first fragment must hold this much (RFC 1858 §3): a filter that reads ports must not be passed by cutting them
     * in two. ICMP: type, code and checksum.
     */
    private static int minimalLength(final int number) {
        return switch (number) {
            case TCP -> 20;
            case UDP -> 8;
            case ICMP, ICMP6 -> 4;
            default -> 0;
        };
    }

    /** How far the headers could be read: one of the {@code DEPTH_} constants. */
    public int depth() {
        return depth;
    }

    /** Writes addresses, protocol and ports as the words of the family's {@link KeyLayout}. */
    void putKey(final long[] words, final int start) {
        final long transport = KeyLayout.transportWord(protocol, sourcePort, destinationPort);
        if (family == IPV4) {
            words[start] = sourceLow << 32 | destinationLow;
            words[start + 1] = transport;
        } else {
            words[start] = sourceHigh;
            words[start + 1] = sourceLow;
            words[start + 2] = destinationHigh;
            words[start + 3] = destinationLow;
            words[start + 4] = transport;
        }
    }

    /** Whether the frame was read to L4, or to the end of its headers if it has no L4. */
    public boolean parsable() {
        return depth == DEPTH_TRANSPORT;
    }

    /** The type behind all tags, or the length field of an 802.3 frame. */
    public int etherType() {
        return etherType;
    }

    /** {@link #IPV4}, {@link #IPV6} or {@link #NOT_IP}, told from the ether type. */
    public int family() {
        return family;
    }

    public int protocol() {
        return protocol;
    }

    /** Whether this is a fragment other than the first of its datagram, which has a protocol but no ports. */
    public boolean laterFragment() {
        return laterFragment;
    }

    public long sourceHigh() {
        return sourceHigh;
    }

    /** The last 64 bits of an IPv6 source, or an IPv4 source as 0..2^32-1. */
    public long sourceLow() {
        return sourceLow;
    }

    public long destinationHigh() {
        return destinationHigh;
    }

    /** As {@link #sourceLow}. */
    public long destinationLow() {
        return destinationLow;
    }

    /** 0..65535, or {@link Rule#ANY} for a frame without ports. */
    public int sourcePort() {
        return sourcePort;
    }

    public int destinationPort() {
        return destinationPort;
    }
}

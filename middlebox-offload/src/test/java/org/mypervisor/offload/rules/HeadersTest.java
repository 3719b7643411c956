package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.offload.rules.Frames.authentication;
import static org.mypervisor.offload.rules.Frames.ethernet;
import static org.mypervisor.offload.rules.Frames.extension;
import static org.mypervisor.offload.rules.Frames.fragment;
import static org.mypervisor.offload.rules.Frames.hex;
import static org.mypervisor.offload.rules.Frames.ipv4;
import static org.mypervisor.offload.rules.Frames.ipv4Fragment;
import static org.mypervisor.offload.rules.Frames.ipv6;
import static org.mypervisor.offload.rules.Frames.join;
import static org.mypervisor.offload.rules.Frames.tcp;
import static org.mypervisor.offload.rules.Frames.udp;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.offload.Packet;

class HeadersTest {
    private static final String IPV4 = "0800";
    private static final String IPV6 = "86dd";
    private static final String A4 = "0a000001";
    private static final String B4 = "c0a80102";
    private static final String A6 = "20010db8000000000000000000000001";
    private static final String B6 = "20010db80000000000000000000000ff";

    private final Packet packet = new Packet();
    private final Headers headers = new Headers();

    private Headers parse(final byte[] frame) {
        headers.parse(Frames.load(packet, frame));
        return headers;
    }

    private void assertDepth(final int depth, final byte[] frame) {
        assertEquals(depth, parse(frame).depth(), () -> Frames.class.getSimpleName() + " " + Arrays.toString(frame));
    }

    @Test
    void shouldReadLiteralTcpSyn() {
        parse(hex(
                "525400123456 525400abcdef 0800",
                "4500003c1c46400040060000 0a000001 c0a80102",
                "c3500050 00000001 00000000 a002faf0 00000000 020405b40402080a0000000000000000 01030307"));
        assertTrue(headers.parsable());
        assertEquals(0x0800, headers.etherType());
        assertEquals(Headers.IPV4, headers.family());
        assertEquals(6, headers.protocol());
        assertEquals(0x0a000001L, headers.sourceLow());
        assertEquals(0xc0a80102L, headers.destinationLow());
        assertEquals(0, headers.sourceHigh() | headers.destinationHigh());
        assertEquals(50000, headers.sourcePort());
        assertEquals(80, headers.destinationPort());
        assertFalse(headers.laterFragment());
    }

    @Test
    void shouldReadIpv6Udp() {
        parse(ethernet(IPV6, ipv6(17, A6, B6, udp(65535, 53))));
        assertTrue(headers.parsable());
        assertEquals(Headers.IPV6, headers.family());
        assertEquals(17, headers.protocol());
        assertEquals(0x20010db800000000L, headers.sourceHigh());
        assertEquals(1, headers.sourceLow());
        assertEquals(0x20010db800000000L, headers.destinationHigh());
        assertEquals(0xff, headers.destinationLow());
        assertEquals(65535, headers.sourcePort());
        assertEquals(53, headers.destinationPort());
    }

    @Test
    void shouldForgetTheFrameBefore() {
        parse(ethernet(IPV6, ipv6(17, A6, B6, udp(1, 2))));
        parse(ethernet("0806", new byte[28]));
        assertEquals(0x0806, headers.etherType());
        assertEquals(Headers.NOT_IP, headers.family());
        assertEquals(Rule.ANY, headers.protocol());
        assertEquals(Rule.ANY, headers.sourcePort());
        assertEquals(Rule.ANY, headers.destinationPort());
        assertEquals(0, headers.sourceHigh());
        assertTrue(headers.parsable());
    }

    @Test
    void shouldKnowHowFarEachTruncatedIpv4FrameReaches() {
        final byte[] frame = ethernet(IPV4, ipv4(6, A4, B4, tcp(1, 2)));
        for (int length = 0; length <= frame.length; length++) {
            final int expected = length < 14
                    ? Headers.DEPTH_NONE
                    : length < 34
                            ? Headers.DEPTH_ETHERNET
                            : length < 54 ? Headers.DEPTH_NETWORK : Headers.DEPTH_TRANSPORT;
            assertDepth(expected, Arrays.copyOf(frame, length));
        }
    }

    @Test
    void shouldKnowHowFarEachTruncatedIpv6FrameReaches() {
        final byte[] payload = join(extension(44, 16), fragment(17, 0, true), udp(1, 2));
        final byte[] frame = ethernet("8100000a" + IPV6, ipv6(0, A6, B6, payload));
        for (int length = 0; length <= frame.length; length++) {
            final int expected = length < 18
                    ? Headers.DEPTH_NONE
                    : length < 58
                            ? Headers.DEPTH_ETHERNET
                            : length < frame.length ? Headers.DEPTH_NETWORK : Headers.DEPTH_TRANSPORT;
            assertDepth(expected, Arrays.copyOf(frame, length));
        }
    }

    @Test
    void shouldLookThroughStackedTags() {
        parse(ethernet("88a8 0064 8100 000a 8100 0001" + IPV4, ipv4(17, A4, B4, udp(1000, 53))));
        assertTrue(headers.parsable());
        assertEquals(0x0800, headers.etherType());
        assertEquals(53, headers.destinationPort());
    }

    @Test
    void shouldGiveUpWhenTagsFillTheSnapshot() {
        // 12 bytes of addresses, 28 tags and 2 bytes fill 126 bytes: the next tag is cut.
        final byte[] frame = ethernet("81000001".repeat(29) + IPV4, ipv4(17, A4, B4, udp(1000, 53)));
        assertDepth(Headers.DEPTH_NONE, frame);
        assertEquals(Rule.ANY, headers.etherType());
    }

    @ParameterizedTest
    @ValueSource(strings = {"88cc", "0806", "05dc", "0000", "88e5"})
    void shouldHaveReadAllOfFrameThatIsNotIp(final String type) {
        assertDepth(Headers.DEPTH_TRANSPORT, ethernet(type, new byte[0]));
        assertEquals(Integer.parseInt(type, 16), headers.etherType());
        assertEquals(Headers.NOT_IP, headers.family());
    }

    @Test
    void shouldStepOverIpv4Options() {
        final byte[] ip = join(hex("46000000 12340000 40110000", A4, B4, "01010100"), udp(7, 9));
        ip[3] = (byte) ip.length;
        parse(ethernet(IPV4, ip));
        assertTrue(headers.parsable());
        assertEquals(9, headers.destinationPort());
    }

    @ParameterizedTest
    @ValueSource(ints = {0x44, 0x40, 0x4F})
    void shouldStopAtImpossibleIpv4HeaderLength(final int firstByte) {
        final byte[] frame = ethernet(IPV4, ipv4(6, A4, B4, tcp(1, 2)));
        frame[14] = (byte) firstByte;
        assertDepth(Headers.DEPTH_NETWORK, frame);
        assertEquals(0x0a000001L, headers.sourceLow());
        assertEquals(Rule.ANY, headers.destinationPort());
    }

    @Test
    void shouldStopAtIpVersionThatContradictsTheEtherType() {
        final byte[] frame = ethernet(IPV4, ipv4(6, A4, B4, tcp(1, 2)));
        frame[14] = 0x65;
        assertDepth(Headers.DEPTH_ETHERNET, frame);
        final byte[] frame6 = ethernet(IPV6, ipv6(6, A6, B6, tcp(1, 2)));
        frame6[14] = 0x45;
        assertDepth(Headers.DEPTH_ETHERNET, frame6);
    }

    @Test
    void shouldTakeBytesBehindTotalLengthForPadding() {
        for (int totalLength = 0; totalLength <= 40; totalLength++) {
            final byte[] frame = ethernet(IPV4, ipv4(6, A4, B4, tcp(1, 2)));
            frame[17] = (byte) totalLength;
            assertDepth(totalLength < 40 ? Headers.DEPTH_NETWORK : Headers.DEPTH_TRANSPORT, frame);
        }
    }

    @Test
    void shouldTakeBytesBehindPayloadLengthForPadding() {
        for (int payloadLength = 0; payloadLength <= 16; payloadLength++) {
            final byte[] frame = ethernet(IPV6, ipv6(60, A6, B6, join(extension(17, 8), udp(1, 2))));
            frame[19] = (byte) payloadLength;
            assertDepth(payloadLength < 16 ? Headers.DEPTH_NETWORK : Headers.DEPTH_TRANSPORT, frame);
        }
    }

    @Test
    void shouldNotReadPortsOfLaterFragments() {
        parse(ethernet(IPV4, ipv4Fragment(17, A4, B4, 0x2001, udp(1000, 53))));
        assertTrue(headers.parsable());
        assertTrue(headers.laterFragment());
        assertEquals(17, headers.protocol());
        assertEquals(Rule.ANY, headers.destinationPort());
        // A last fragment may be shorter than the L4 header it has none of.
        assertDepth(Headers.DEPTH_TRANSPORT, ethernet(IPV4, ipv4Fragment(6, A4, B4, 0x00b9, new byte[1])));
        parse(ethernet(IPV6, ipv6(44, A6, B6, join(fragment(17, 1, false), udp(1000, 53)))));
        assertTrue(headers.parsable());
        assertTrue(headers.laterFragment());
        assertEquals(17, headers.protocol());
        assertEquals(Rule.ANY, headers.destinationPort());
    }

    @Test
    void shouldReadPortsOfFirstFragments() {
        parse(ethernet(IPV4, ipv4Fragment(17, A4, B4, 0x2000, udp(1000, 53))));
        assertEquals(53, headers.destinationPort());
        assertFalse(headers.laterFragment());
        parse(ethernet(IPV6, ipv6(44, A6, B6, join(fragment(17, 0, true), udp(1000, 53)))));
        assertEquals(53, headers.destinationPort());
        assertFalse(headers.laterFragment());
    }

    @Test
    void shouldCallFirstFragmentWithoutWholeL4HeaderTruncated() {
        final byte[] firstEight = Arrays.copyOf(tcp(1, 80), 8);
        assertDepth(Headers.DEPTH_NETWORK, ethernet(IPV4, ipv4Fragment(6, A4, B4, 0x2000, firstEight)));
        assertDepth(Headers.DEPTH_NETWORK, ethernet(IPV6, ipv6(44, A6, B6, join(fragment(6, 0, true), firstEight))));
    }

    @Test
    void shouldNotWalkOnBehindLaterFragment() {
        final byte[] payload = join(fragment(60, 3, false), extension(17, 8), udp(1, 53));
        assertDepth(Headers.DEPTH_NETWORK, ethernet(IPV6, ipv6(44, A6, B6, payload)));
        assertEquals(Rule.ANY, headers.protocol());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 43, 60, 135, 139, 140})
    void shouldWalkExtensionHeader(final int number) {
        for (int length = 8; length <= 40; length += 8) {
            parse(ethernet(IPV6, ipv6(number, A6, B6, join(extension(17, length), udp(1, 53)))));
            assertTrue(headers.parsable());
            assertEquals(17, headers.protocol());
            assertEquals(53, headers.destinationPort());
        }
    }

    @Test
    void shouldWalkAuthenticationHeaderInFourByteUnits() {
        parse(ethernet(IPV6, ipv6(51, A6, B6, join(authentication(6, 20), tcp(1, 80)))));
        assertTrue(headers.parsable());
        assertEquals(80, headers.destinationPort());
    }

    @Test
    void shouldWalkEightExtensionHeadersAndNotNine() {
        byte[] payload = join(extension(59, 8), new byte[0]);
        for (int i = 1; i < 8; i++) {
            payload = join(extension(60, 8), payload);
        }
        assertDepth(Headers.DEPTH_TRANSPORT, ethernet(IPV6, ipv6(60, A6, B6, payload)));
        assertEquals(59, headers.protocol());
        final byte[] nine = join(extension(60, 8), payload);
        headers.parse(Frames.load(packet, ethernet(IPV6, ipv6(60, A6, B6, nine))));
        assertEquals(Headers.DEPTH_NETWORK, headers.depth());
    }

    @Test
    void shouldStopWhenExtensionHeaderClaimsMoreThanThereIs() {
        final byte[] liar = extension(47, 8);
        liar[1] = 1;
        assertDepth(Headers.DEPTH_NETWORK, ethernet(IPV6, ipv6(60, A6, B6, liar)));
        liar[1] = (byte) 255;
        assertDepth(Headers.DEPTH_NETWORK, ethernet(IPV6, ipv6(60, A6, B6, liar)));
    }

    @Test
    void shouldNotOpenTunnels() {
        parse(ethernet(IPV4, ipv4(47, A4, B4, hex("00000800"))));
        assertTrue(headers.parsable());
        assertEquals(47, headers.protocol());
        parse(ethernet(IPV6, ipv6(4, A6, B6, ipv4(6, A4, B4, tcp(1, 2)))));
        assertTrue(headers.parsable());
        assertEquals(4, headers.protocol());
        assertEquals(Rule.ANY, headers.sourcePort());
    }

    @Test
    void shouldNeedFourBytesOfIcmp() {
        assertDepth(Headers.DEPTH_NETWORK, ethernet(IPV4, ipv4(1, A4, B4, hex("080000"))));
        assertDepth(Headers.DEPTH_TRANSPORT, ethernet(IPV4, ipv4(1, A4, B4, hex("0800f7ff"))));
        assertDepth(Headers.DEPTH_NETWORK, ethernet(IPV6, ipv6(58, A6, B6, hex("870000"))));
        assertDepth(Headers.DEPTH_TRANSPORT, ethernet(IPV6, ipv6(58, A6, B6, hex("87000000"))));
    }
}

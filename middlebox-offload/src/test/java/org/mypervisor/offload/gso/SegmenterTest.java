package org.mypervisor.offload.gso;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.offload.gso.Requests.ECN;
import static org.mypervisor.offload.gso.Requests.TCPV4;
import static org.mypervisor.offload.gso.Requests.TCPV6;
import static org.mypervisor.offload.gso.Requests.UDP;
import static org.mypervisor.offload.gso.Requests.UDP_L4;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class SegmenterTest {
    private static final int GSO_SIZE = 1_000;
    private static final int MAX_FRAME = 65_589;

    private final PrivateMemory memory = new PrivateMemory(MAX_FRAME + 16);
    private final Segmenter segmenter = new Segmenter();
    private final Random random = new Random(20260211);

    private boolean begin(final byte[] frame, final OffloadRequest request) {
        memory.put(0, frame);
        return segmenter.begin(memory.address(), frame.length, request);
    }

    private void assertRefused(final byte[] frame, final OffloadRequest request, final String story) {
        assertFalse(begin(frame, request), story);
        assertEquals(0, segmenter.segments(), story);
        assertFalse(segmenter.next(), story);
    }

    private List<byte[]> segments() {
        final List<byte[]> segments = new ArrayList<>();
        while (segmenter.next()) {
            segments.add(Flow.join(
                    PrivateMemory.bytes(segmenter.headerAddress(), segmenter.headerLength()),
                    PrivateMemory.bytes(segmenter.payloadAddress(), segmenter.payloadLength())));
        }
        return segments;
    }

    private Flow tcp4() {
        return new Flow(random, false, true, 0, 0);
    }

    private static byte[] with(final byte[] frame, final int offset, final int... values) {
        final byte[] changed = frame.clone();
        for (int i = 0; i < values.length; i++) {
            changed[offset + i] = (byte) values[i];
        }
        return changed;
    }

    private int flagsOf(final byte[] segment, final Flow flow) {
        return segment[flow.l4() + 13] & 0xFF;
    }

    @Test
    void shouldEndTheStreamInTheLastSegmentAndReportCongestionInTheFirst() {
        final Flow flow = tcp4();
        flow.flags = 0xFF;
        assertTrue(begin(flow.forDevice(new byte[3 * GSO_SIZE]), flow.request(GSO_SIZE)));
        final List<byte[]> segments = segments();
        assertEquals(0xF6, flagsOf(segments.get(0), flow));
        assertEquals(0x76, flagsOf(segments.get(1), flow));
        assertEquals(0x7F, flagsOf(segments.get(2), flow));
    }

    @Test
    void shouldKeepAllFlagsOfASingleSegment() {
        final Flow flow = tcp4();
        flow.flags = 0xFF;
        assertTrue(begin(flow.forDevice(new byte[GSO_SIZE]), flow.request(GSO_SIZE)));
        final List<byte[]> segments = segments();
        assertEquals(1, segments.size());
        assertEquals(0xFF, flagsOf(segments.get(0), flow));
    }

    @Test
    void shouldSegmentTheSameWhenTheTypeSaysThatCongestionIsReported() {
        for (final boolean ipv6 : new boolean[] {false, true}) {
            final Flow flow = new Flow(random, ipv6, true, 1, 2);
            final byte[] payload = Flow.bytes(random, 2_500);
            final byte[] frame = flow.forDevice(payload);
            assertTrue(begin(frame, Requests.gso(flow.gsoType() | ECN, GSO_SIZE, flow.l4(), 16)));
            final List<byte[]> segments = segments();
            for (int i = 0; i < 3; i++) {
                final byte[] piece = Arrays.copyOfRange(payload, i * GSO_SIZE, Math.min((i + 1) * GSO_SIZE, 2_500));
                assertArrayEquals(flow.segment(piece, i, 3, i * GSO_SIZE), segments.get(i));
            }
        }
    }

    @Test
    void shouldWrapIdentificationAndSequence() {
        final Flow flow = tcp4();
        flow.identification = 0xFFFF;
        flow.sequence = -GSO_SIZE;
        final byte[] payload = Flow.bytes(random, 2 * GSO_SIZE);
        assertTrue(begin(flow.forDevice(payload), flow.request(GSO_SIZE)));
        final byte[] second = segments().get(1);
        assertArrayEquals(new byte[] {0, 0}, Arrays.copyOfRange(second, 18, 20));
        assertArrayEquals(new byte[4], Arrays.copyOfRange(second, 38, 42));
    }

    @Test
    void shouldTakeAllOfTheFrameWhenTheIpLengthIsZero() {
        for (final boolean ipv6 : new boolean[] {false, true}) {
            final Flow flow = new Flow(random, ipv6, true, 0, 0);
            final byte[] payload = Flow.bytes(random, 2 * GSO_SIZE);
            final byte[] frame = with(flow.forDevice(payload), flow.l3() + (ipv6 ? 4 : 2), 0, 0);
            assertTrue(begin(frame, flow.request(GSO_SIZE)));
            final List<byte[]> segments = segments();
            assertArrayEquals(flow.segment(Arrays.copyOf(payload, GSO_SIZE), 0, 2, 0), segments.get(0));
            assertEquals(2, segments.size());
        }
    }

    /** 64 KiB of payload is more than an IPv4 packet can say, but its segments are packets like any others. */
    @Test
    void shouldSegmentTheLongestFrameUnlessASegmentWouldBeLongerThanIpCanSay() {
        final byte[] frame = Arrays.copyOf(with(tcp4Plain(), 16, 0, 0), MAX_FRAME);
        assertTrue(begin(frame, Requests.gso(TCPV4, 1_460, 34, 16)));
        assertEquals(45, segmenter.segments());
        assertTrue(begin(frame, Requests.gso(TCPV4, 65_495, 34, 16)));
        assertEquals(2, segmenter.segments());
        assertRefused(frame, Requests.gso(TCPV4, 65_496, 34, 16), "total length 65,536");
        assertRefused(Arrays.copyOf(frame, MAX_FRAME + 1), Requests.gso(TCPV4, 1_460, 34, 16), "too long a frame");
    }

    /** Without options, so that every offset is the well-known one. */
    private static byte[] tcp4Plain() {
        final byte[] frame = new byte[54 + 3 * GSO_SIZE];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[16] = (byte) ((frame.length - 14) >>> 8);
        frame[17] = (byte) (frame.length - 14);
        frame[23] = 6;
        frame[46] = 0x50;
        return frame;
    }

    @Test
    void shouldBoundTheNumberOfSegments() {
        final Flow flow = tcp4();
        assertTrue(begin(flow.forDevice(new byte[Segmenter.MAX_SEGMENTS]), flow.request(1)));
        assertEquals(Segmenter.MAX_SEGMENTS, segmenter.segments());
        assertEquals(Segmenter.MAX_SEGMENTS, segments().size());
        assertRefused(flow.forDevice(new byte[Segmenter.MAX_SEGMENTS + 1]), flow.request(1), "one too many");
        assertRefused(flow.forDevice(new byte[65_000]), flow.request(63), "one too many, roughly");
        assertTrue(begin(flow.forDevice(new byte[65_000]), flow.request(64)));
    }

    @Test
    void shouldForgetTheFrameBefore() {
        final Flow flow = tcp4();
        final byte[] frame = flow.forDevice(new byte[3 * GSO_SIZE]);
        assertTrue(begin(frame, flow.request(GSO_SIZE)));
        assertTrue(segmenter.next());
        assertRefused(frame, flow.request(0), "gso_size 0");
        assertTrue(begin(frame, flow.request(GSO_SIZE)));
        assertEquals(3, segments().size());
    }

    @Test
    void shouldRefuseARequestThatDoesNotFitTheFrame() {
        for (final boolean ipv6 : new boolean[] {false, true}) {
            for (final boolean tcp : new boolean[] {false, true}) {
                final Flow flow = new Flow(random, ipv6, tcp, 1, 1);
                final byte[] frame = flow.forDevice(new byte[3 * GSO_SIZE]);
                assertTrue(begin(frame, flow.request(GSO_SIZE)));
                for (int type = 0; type < 256; type++) {
                    final boolean fits = type == flow.gsoType() || tcp && type == (flow.gsoType() | ECN);
                    final OffloadRequest request = Requests.gso(type, GSO_SIZE, flow.l4(), flow.csumOffset());
                    assertEquals(fits, begin(frame, request), flow + ", type " + type);
                }
                for (int start = 0; start < 200; start++) {
                    final OffloadRequest request = Requests.gso(flow.gsoType(), GSO_SIZE, start, flow.csumOffset());
                    assertEquals(start == flow.l4(), begin(frame, request), flow + ", csum_start " + start);
                }
                for (int offset = 0; offset < 40; offset++) {
                    final OffloadRequest request = Requests.gso(flow.gsoType(), GSO_SIZE, flow.l4(), offset);
                    assertEquals(offset == flow.csumOffset(), begin(frame, request), flow + ", csum_offset " + offset);
                }
                final byte[] noCsum = Requests.header(0, flow.gsoType(), 0, GSO_SIZE, flow.l4(), flow.csumOffset(), 0);
                assertRefused(frame, Requests.load(noCsum), "without NEEDS_CSUM");
                assertRefused(frame, flow.request(0), "gso_size 0");
            }
        }
    }

    @Test
    void shouldRefuseHeadersThatContradictThemselves() {
        final byte[] frame = tcp4Plain();
        final OffloadRequest request = Requests.gso(TCPV4, GSO_SIZE, 34, 16);
        assertTrue(begin(frame, request));
        assertRefused(with(frame, 12, 0x08, 0x06), request, "ARP");
        assertRefused(with(frame, 12, 0x86, 0xDD), request, "IPv4 that is called IPv6");
        assertRefused(with(frame, 14, 0x65), request, "IPv6 that is called IPv4");
        assertRefused(with(frame, 14, 0x44), request, "IPv4 header of 16 bytes");
        assertRefused(with(frame, 14, 0x46), request, "IPv4 header of 24 bytes");
        assertRefused(with(frame, 16, 0, 39), request, "no room for TCP in the total length");
        assertRefused(with(frame, 16, 0xFF, 0xFF), request, "total length behind the frame");
        assertRefused(with(frame, 20, 0x20), request, "first fragment");
        assertRefused(with(frame, 21, 0x01), request, "later fragment");
        assertRefused(with(frame, 23, 17), request, "UDP");
        assertRefused(with(frame, 46, 0x40), request, "TCP header of 16 bytes");
        assertTrue(begin(with(frame, 20, 0xC0), request), "don't fragment, and the reserved bit");
        assertTrue(begin(with(frame, 16, 0, 40), request), "nothing but padding behind the headers");
        assertEquals(1, segments().size());
        assertRefused(with(with(frame, 16, 0, 40), 46, 0x60), request, "TCP header longer than the packet");
    }

    @Test
    void shouldRefuseIpv6HeadersThatSegmentationWouldSpoil() {
        final byte[] plain = new Flow(random, true, true, 0, 1).forDevice(new byte[3 * GSO_SIZE]);
        // All that matters of the extension header is its number and its length.
        final byte[] frame = with(plain, 55, 0);
        final int[] refused = {44, 50, 51, 135, 139, 140, 59, 1};
        for (final int number : refused) {
            assertRefused(with(frame, 20, number), Requests.gso(TCPV6, GSO_SIZE, 62, 16), "header " + number);
        }
        assertRefused(with(frame, 55, 255), Requests.gso(TCPV6, GSO_SIZE, 54 + 2_048, 16), "too far away");
        assertRefused(with(frame, 18, 0, 4), Requests.gso(TCPV6, GSO_SIZE, 62, 16), "extension behind the packet");
    }

    @Test
    void shouldRefuseTagsWithoutEnd() {
        final byte[] frame = new byte[2_000];
        for (int i = 12; i < frame.length; i += 4) {
            frame[i] = (byte) 0x81;
        }
        for (int start = 0; start < 1_000; start++) {
            assertRefused(frame, Requests.gso(UDP_L4, GSO_SIZE, start, 6), "csum_start " + start);
        }
        assertRefused(tcp4Plain(), Requests.gso(UDP, GSO_SIZE, 34, 6), "IP fragmentation");
    }

    @Test
    void shouldTakeHeadersThatBeginNotTooFarAway() {
        for (int tags = 0; tags < 130; tags++) {
            final Flow flow = new Flow(random, false, true, tags, 0);
            final byte[] frame = flow.forDevice(new byte[2 * GSO_SIZE]);
            assertEquals(flow.l4() <= 448, begin(frame, flow.request(GSO_SIZE)), flow.toString());
        }
    }

    @Test
    void shouldRefuseAFrameCutAnywhere() {
        for (int shape = 0; shape < 24; shape++) {
            final Flow flow = new Flow(random, shape % 2 == 0, shape / 2 % 2 == 0, shape / 4 % 3, shape % 4);
            final byte[] frame = flow.forDevice(new byte[600]);
            for (int length = 0; length < frame.length; length++) {
                assertRefused(Arrays.copyOf(frame, length), flow.request(100), flow + ", cut at " + length);
            }
            assertTrue(begin(frame, flow.request(100)), flow.toString());
        }
    }
}

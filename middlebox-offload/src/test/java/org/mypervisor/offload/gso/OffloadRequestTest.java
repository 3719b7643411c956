package org.mypervisor.offload.gso;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.offload.gso.Requests.ECN;
import static org.mypervisor.offload.gso.Requests.NEEDS_CSUM;
import static org.mypervisor.offload.gso.Requests.TCPV4;
import static org.mypervisor.offload.gso.Requests.TCPV6;
import static org.mypervisor.offload.gso.Requests.UDP_L4;

import java.util.Arrays;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class OffloadRequestTest {
    private static final int FRAME_LENGTH = 1_514;

    private final PrivateMemory passedOn = new PrivateMemory(16);

    private byte[] put(final OffloadRequest request, final int size, final int numBuffers) {
        passedOn.fill(0xEE);
        request.put(passedOn.address(), size, numBuffers);
        for (final byte behind : passedOn.get(size, 16 - size)) {
            assertEquals((byte) 0xEE, behind, "written behind the header");
        }
        return passedOn.get(0, size);
    }

    @Test
    void shouldReadEachField() {
        final OffloadRequest request =
                Requests.load(Requests.header(NEEDS_CSUM, TCPV4 | ECN, 0xF0F1, 0xF2F3, 0xF4F5, 0xF6F7, 0xF8F9));
        assertTrue(request.needsCsum());
        assertEquals(0x81, request.gsoType());
        assertEquals(0xF0F1, request.hdrLen());
        assertEquals(0xF2F3, request.gsoSize());
        assertEquals(0xF4F5, request.csumStart());
        assertEquals(0xF6F7, request.csumOffset());
    }

    @Test
    void shouldPassOnTheWholeRequestForSegmentation() {
        final OffloadRequest request =
                Requests.load(Requests.header(0xFF, TCPV6 | ECN, 0xF0F1, 0xF2F3, 0xF4F5, 0xF6F7, 0xF8F9));
        assertArrayEquals(
                Requests.header(NEEDS_CSUM, TCPV6 | ECN, 0xF0F1, 0xF2F3, 0xF4F5, 0xF6F7, 0x1234),
                put(request, 12, 0x1234));
        assertArrayEquals(
                Arrays.copyOf(Requests.header(NEEDS_CSUM, TCPV6 | ECN, 0xF0F1, 0xF2F3, 0xF4F5, 0xF6F7, 0), 10),
                put(request, 10, 1));
    }

    @Test
    void shouldPassOnOnlyWhatBelongsToAChecksum() {
        final OffloadRequest request = Requests.load(Requests.header(0xFF, 0, 0xF0F1, 0xF2F3, 0xF4F5, 0xF6F7, 0));
        assertFalse(request.isPlain());
        assertArrayEquals(Requests.header(NEEDS_CSUM, 0, 0, 0, 0xF4F5, 0xF6F7, 1), put(request, 12, 1));
    }

    /** virtio 1.2 §5.1.6.2.1: DATA_VALID and RSC_INFO are not the driver's to set. */
    @Test
    void shouldPassOnNothingOfAPlainFrame() {
        final OffloadRequest request = Requests.load(Requests.header(0xFE, 0, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF));
        assertTrue(request.isPlain());
        assertTrue(request.isValid(1));
        assertArrayEquals(Requests.header(0, 0, 0, 0, 0, 0, 7), put(request, 12, 7));
        assertArrayEquals(new byte[10], put(request, 10, 7));
    }

    @Test
    void shouldAcceptAChecksumFieldInsideTheFrameOnly() {
        assertTrue(Requests.csum(34, 16).isValid(52));
        assertFalse(Requests.csum(34, 16).isValid(51));
        assertFalse(Requests.csum(0xFFFF, 0xFFFF).isValid(65_589));
        assertFalse(Requests.gso(TCPV4, 1_448, 34, 16).isValid(51));
    }

    @Test
    void shouldAcceptKnownTypesOnly() {
        final Set<Integer> known = Set.of(0, TCPV4, TCPV4 | ECN, TCPV6, TCPV6 | ECN, UDP_L4);
        for (int type = 0; type < 256; type++) {
            assertEquals(known.contains(type), Requests.gso(type, 1, 34, 16).isValid(FRAME_LENGTH), "type " + type);
        }
    }

    @Test
    void shouldRefuseSegmentationWithoutSizeOrChecksum() {
        assertFalse(Requests.gso(TCPV4, 0, 34, 16).isValid(FRAME_LENGTH));
        assertTrue(Requests.gso(TCPV4, 0xFFFF, 34, 16).isValid(FRAME_LENGTH));
        assertFalse(
                Requests.load(Requests.header(0, TCPV4, 54, 1_448, 34, 16, 0)).isValid(FRAME_LENGTH));
    }
}

package org.mypervisor.offload.gso;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.offload.gso.GuestOffloads.Treatment.COMPLETE_CSUM;
import static org.mypervisor.offload.gso.GuestOffloads.Treatment.PASS;
import static org.mypervisor.offload.gso.GuestOffloads.Treatment.SEGMENT;
import static org.mypervisor.offload.gso.Requests.DATA_VALID;
import static org.mypervisor.offload.gso.Requests.ECN;
import static org.mypervisor.offload.gso.Requests.RSC_INFO;
import static org.mypervisor.offload.gso.Requests.TCPV4;
import static org.mypervisor.offload.gso.Requests.TCPV6;
import static org.mypervisor.offload.gso.Requests.UDP;
import static org.mypervisor.offload.gso.Requests.UDP_L4;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.mypervisor.offload.gso.GuestOffloads.Treatment;

final class GuestOffloadsTest {
    private static final long CSUM = 1L << 1;
    private static final long TSO4 = 1L << 7;
    private static final long TSO6 = 1L << 8;
    private static final long ECN_BIT = 1L << 9;
    private static final long USO4 = 1L << 54;
    private static final long USO6 = 1L << 55;

    private final PrivateMemory memory = new PrivateMemory(256);

    private Treatment treatment(final long features, final OffloadRequest request, final boolean ipv6, final int tags) {
        final byte[] frame =
                new Flow(new Random(1), ipv6, request.gsoType() != UDP_L4, tags, 0).forDevice(new byte[16]);
        memory.put(0, frame);
        return new GuestOffloads(features).treatment(request, memory.address(), frame.length);
    }

    private Treatment gso(final long features, final int type) {
        return treatment(features, Requests.gso(type, 1_448, 34, 16), type == TCPV6, 0);
    }

    @Test
    void shouldPassPlainFramesToEverybody() {
        final OffloadRequest plain = Requests.load(new byte[12]);
        assertEquals(PASS, treatment(0, plain, false, 0));
        assertEquals(PASS, treatment(-1, plain, false, 0));
        final OffloadRequest foreignFlags = Requests.load(Requests.header(DATA_VALID | RSC_INFO, 0, 0, 0, 0, 0, 0));
        assertEquals(PASS, treatment(0, foreignFlags, false, 0));
    }

    @Test
    void shouldCompleteTheChecksumUnlessTheReceiverDoes() {
        assertEquals(PASS, treatment(CSUM, Requests.csum(34, 16), false, 0));
        assertEquals(COMPLETE_CSUM, treatment(~CSUM, Requests.csum(34, 16), false, 0));
    }

    @Test
    void shouldPassSegmentationToAReceiverOfThatTypeOnly() {
        assertEquals(PASS, gso(CSUM | TSO4, TCPV4));
        assertEquals(SEGMENT, gso(~TSO4, TCPV4));
        assertEquals(PASS, gso(CSUM | TSO6, TCPV6));
        assertEquals(SEGMENT, gso(~TSO6, TCPV6));
        assertEquals(SEGMENT, gso(-1, UDP));
    }

    @Test
    void shouldPassCongestionReportsToAReceiverOfThemOnly() {
        assertEquals(PASS, gso(CSUM | TSO4 | ECN_BIT, TCPV4 | ECN));
        assertEquals(SEGMENT, gso(~ECN_BIT, TCPV4 | ECN));
        assertEquals(SEGMENT, gso(~TSO4, TCPV4 | ECN));
        assertEquals(PASS, gso(CSUM | TSO6 | ECN_BIT, TCPV6 | ECN));
        assertEquals(SEGMENT, gso(~ECN_BIT, TCPV6 | ECN));
        assertEquals(SEGMENT, gso(~TSO6, TCPV6 | ECN));
    }

    /** virtio 1.2 §5.1.3.1: each of them requires GUEST_CSUM. */
    @Test
    void shouldPassNoSegmentationToAReceiverThatWantsChecksums() {
        for (final int type : new int[] {TCPV4, TCPV4 | ECN, TCPV6, TCPV6 | ECN, UDP_L4}) {
            assertEquals(SEGMENT, gso(~CSUM, type), "type " + type);
        }
    }

    @Test
    void shouldTellTheIpVersionOfDatagramsFromTheFrame() {
        final OffloadRequest datagrams = Requests.gso(UDP_L4, 1_000, 42, 6);
        for (int tags = 0; tags < 3; tags++) {
            assertEquals(PASS, treatment(CSUM | USO4, datagrams, false, tags));
            assertEquals(SEGMENT, treatment(CSUM | USO4, datagrams, true, tags));
            assertEquals(PASS, treatment(CSUM | USO6, datagrams, true, tags));
            assertEquals(SEGMENT, treatment(CSUM | USO6, datagrams, false, tags));
            assertEquals(PASS, treatment(CSUM | USO4 | USO6, datagrams, true, tags));
            assertEquals(SEGMENT, treatment(CSUM, datagrams, false, tags));
        }
    }

    @Test
    void shouldNotGuessTheIpVersionOfAFrameCutInsideItsTags() {
        final OffloadRequest datagrams = Requests.gso(UDP_L4, 1_000, 42, 6);
        memory.put(0, new Flow(new Random(1), false, false, 2, 0).forDevice(new byte[16]));
        final GuestOffloads uso4 = new GuestOffloads(CSUM | USO4);
        for (int length = 0; length < 22; length++) {
            assertEquals(SEGMENT, uso4.treatment(datagrams, memory.address(), length), "length " + length);
        }
        assertEquals(PASS, uso4.treatment(datagrams, memory.address(), 22));
    }
}

package org.mypervisor.offload.gso;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Random frames of every shape: each segment is, byte for byte, the frame that a slow model writes from the RFCs. */
final class SegmenterPropertyTest {
    private static final int[] GSO_SIZES = {1, 2, 7, 8, 100, 536, 1_220, 1_448, 1_460, 8_948, 40_000, 65_535};
    private static final int FRAMES_PER_SHAPE = 6;
    private static final int MAX_FRAME = 65_589;

    private final Random random = new Random(20260210);
    private final PrivateMemory memory = new PrivateMemory(MAX_FRAME + 8);
    private final Segmenter segmenter = new Segmenter();

    @Test
    void shouldSegmentEveryShapeLikeTheModel() {
        for (final boolean ipv6 : new boolean[] {false, true}) {
            for (final boolean tcp : new boolean[] {false, true}) {
                for (int tags = 0; tags < 3; tags++) {
                    for (int extras = 0; extras <= (ipv6 ? 3 : 10); extras++) {
                        checkShape(ipv6, tcp, tags, extras);
                    }
                }
            }
        }
    }

    private void checkShape(final boolean ipv6, final boolean tcp, final int tags, final int extras) {
        for (final int gsoSize : GSO_SIZES) {
            for (int i = 0; i < FRAMES_PER_SHAPE; i++) {
                final Flow flow = new Flow(random, ipv6, tcp, tags, extras);
                // Leaves room for the headers in an IP length of 16 bits.
                final int most = Math.min(gsoSize * Segmenter.MAX_SEGMENTS, 65_535 - 200);
                final int some = random.nextInt(most + 1);
                final int round = random.nextInt(20) * gsoSize;
                check(flow, Flow.bytes(random, i == 0 ? most : i == 1 ? Math.min(round, most) : some), gsoSize);
            }
        }
    }

    private void check(final Flow flow, final byte[] payload, final int gsoSize) {
        final byte[] padding = Flow.bytes(random, random.nextInt(3) == 0 ? random.nextInt(20) : 0);
        final byte[] frame = Flow.join(flow.forDevice(payload), padding);
        final int at = random.nextInt(8);
        memory.put(at, frame);
        final String story = flow + ", payload " + payload.length + ", gso_size " + gsoSize;
        assertTrue(segmenter.begin(memory.address() + at, frame.length, flow.request(gsoSize)), story);
        final int count = Math.max(1, (payload.length + gsoSize - 1) / gsoSize);
        assertEquals(count, segmenter.segments(), story);
        assertEquals(flow.headerLength(), segmenter.headerLength(), story);
        final ByteArrayOutputStream arrived = new ByteArrayOutputStream();
        for (int i = 0; i < count; i++) {
            assertTrue(segmenter.next(), story);
            final int offset = i * gsoSize;
            final byte[] piece = Arrays.copyOfRange(payload, offset, Math.min(offset + gsoSize, payload.length));
            final byte[] arrivedPiece = PrivateMemory.bytes(segmenter.payloadAddress(), segmenter.payloadLength());
            assertArrayEquals(
                    flow.segment(piece, i, count, offset),
                    Flow.join(PrivateMemory.bytes(segmenter.headerAddress(), segmenter.headerLength()), arrivedPiece),
                    "segment " + i + " of " + story);
            arrived.writeBytes(arrivedPiece);
        }
        assertFalse(segmenter.next(), story);
        assertArrayEquals(payload, arrived.toByteArray(), story);
        assertArrayEquals(frame, memory.get(at, frame.length), "the frame stays as it was: " + story);
    }
}

package org.mypervisor.offload.gso;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.VirtioNetHdr;

/** Frames and requests with random damage: nothing behind a frame is read, nothing around it counts, it stays. */
final class HostileFrameTest {
    private static final int ROUNDS = 100_000;
    private static final int MARGIN = 700;
    private static final int MAX_LENGTH = 1_200;

    /** Has to look into frames of datagrams to tell their IP version. */
    private static final GuestOffloads USO4 = new GuestOffloads(1L << 1 | 1L << 54);

    private final Random random = new Random(20260212);
    private final PrivateMemory memory = new PrivateMemory(MARGIN + MAX_LENGTH + MARGIN);
    private final MemoryEdge edge = new MemoryEdge();
    private final Segmenter segmenter = new Segmenter();

    @Test
    void shouldNoticeAReadBehindTheFrame() {
        final long address = edge.put(new byte[1]);
        assertThrows(InternalError.class, () -> {
            RawMemory.u8(address + 1);
            awaitFault();
        });
    }

    @Test
    void shouldReadNothingOutsideTheFrame() throws InterruptedException {
        int segmented = 0;
        for (int round = 0; round < ROUNDS; round++) {
            final Flow flow =
                    new Flow(random, random.nextBoolean(), random.nextBoolean(), random.nextInt(3), random.nextInt(4));
            final byte[] frame = damagedFrame(flow);
            final OffloadRequest request = damagedRequest(flow);
            memory.fill(round);
            memory.put(MARGIN, frame);
            final byte[] first = outcome(frame, memory.address() + MARGIN, request);
            assertArrayEquals(
                    first,
                    outcome(frame, edge.put(frame), request),
                    () -> flow + " damaged to " + Arrays.toString(frame));
            segmented += first.length > 0 ? 1 : 0;
        }
        awaitFault();
        assertTrue(segmented > ROUNDS / 20 && segmented < ROUNDS * 2 / 3, "segmented: " + segmented);
    }

    /** Compiled code goes on after a fault; the error comes when the thread next leaves it. */
    private static void awaitFault() throws InterruptedException {
        Thread.sleep(1);
    }

    private byte[] damagedFrame(final Flow flow) {
        final byte[] whole = flow.forDevice(Flow.bytes(random, random.nextInt(600)));
        final byte[] frame = random.nextBoolean() ? whole : Arrays.copyOf(whole, random.nextInt(whole.length));
        final int lengthField = flow.l3() + (flow.ipv6 ? 4 : 2);
        if (random.nextBoolean() && lengthField + 1 < frame.length) {
            // Otherwise most cut frames would be given away by the length in their IP header.
            frame[lengthField] = 0;
            frame[lengthField + 1] = 0;
        }
        for (int i = random.nextInt(3); i > 0 && frame.length > 0; i--) {
            final int among = Math.min(frame.length, flow.headerLength());
            frame[random.nextInt(among)] = (byte) random.nextInt();
        }
        return frame;
    }

    private OffloadRequest damagedRequest(final Flow flow) {
        // A checksum field at the very start is inside any frame, so that short ones are parsed too.
        final boolean atStart = random.nextInt(4) == 0;
        final int csumStart = atStart ? 0 : flow.l4();
        final int csumOffset = atStart ? 0 : flow.csumOffset();
        final byte[] header = Requests.header(1, flow.gsoType(), 0, 1 + random.nextInt(300), csumStart, csumOffset, 0);
        if (random.nextInt(4) == 0) {
            header[random.nextInt(VirtioNetHdr.SIZE)] = (byte) random.nextInt();
        }
        return Requests.load(header);
    }

    /** All segments in a row; empty for a refused frame. */
    private byte[] outcome(final byte[] frame, final long address, final OffloadRequest request) {
        final ByteArrayOutputStream all = new ByteArrayOutputStream();
        int payload = 0;
        USO4.treatment(request, address, frame.length);
        if (segmenter.begin(address, frame.length, request)) {
            while (segmenter.next()) {
                assertEquals(segmenter.headerLength() + payload, segmenter.payloadAddress() - address);
                payload += segmenter.payloadLength();
                all.writeBytes(PrivateMemory.bytes(segmenter.headerAddress(), segmenter.headerLength()));
                all.writeBytes(PrivateMemory.bytes(segmenter.payloadAddress(), segmenter.payloadLength()));
            }
            assertTrue(segmenter.headerLength() + payload <= frame.length);
        }
        assertArrayEquals(frame, PrivateMemory.bytes(address, frame.length), "the frame stays as it was");
        InternetChecksum.complete(address, request.csumStart(), request.csumOffset(), frame.length);
        return all.toByteArray();
    }
}

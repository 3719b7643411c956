package org.mypervisor.offload.gso;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.mypervisor.offload.gso.GuestOffloads.Treatment;
import org.mypervisor.virtqueue.VirtioNetHdr;

/** Frames of all kinds, taken, refused, completed and passed on, cost the heap nothing. */
final class SegmenterAllocationTest {
    private static final int WARM_UP = 20_000;
    private static final int ROUNDS = 100_000;
    private static final int SLOT = 16_384;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final Segmenter segmenter = new Segmenter();
    private final OffloadRequest request = new OffloadRequest();
    private final GuestOffloads none = new GuestOffloads(0);
    private final GuestOffloads all = new GuestOffloads(-1);
    private final GuestOffloads uso4 = new GuestOffloads(1L << 1 | 1L << 54);
    private final Flow[] flows = new Flow[4];
    private final int[] lengths = new int[flows.length];
    private final PrivateMemory frames = new PrivateMemory(flows.length * SLOT);
    private final PrivateMemory headers = new PrivateMemory(flows.length * SLOT);

    private long work() {
        long bytes = 0;
        for (int i = 0; i < flows.length; i++) {
            final long frame = frames.address() + i * SLOT;
            request.load(headers.address() + i * SLOT);
            if (all.treatment(request, frame, lengths[i]) == Treatment.PASS) {
                request.put(headers.address() + i * SLOT + VirtioNetHdr.SIZE, VirtioNetHdr.SIZE, 1);
            }
            bytes += uso4.treatment(request, frame, lengths[i]) == Treatment.PASS ? 1 : 0;
            if (none.treatment(request, frame, lengths[i]) == Treatment.SEGMENT
                    && segmenter.begin(frame, lengths[i], request)) {
                while (segmenter.next()) {
                    bytes += segmenter.headerLength() + segmenter.payloadLength();
                }
            }
            bytes += segmenter.begin(frame, lengths[i] - 1, request) ? 1 : 0;
            InternetChecksum.complete(frame, flows[i].l4(), 2, lengths[i]);
        }
        return bytes;
    }

    @Test
    void shouldAllocateNothing() {
        final Random random = new Random(20260213);
        for (int i = 0; i < flows.length; i++) {
            flows[i] = new Flow(random, i % 2 == 0, i < 2, i % 3, i);
            final byte[] frame = flows[i].forDevice(Flow.bytes(random, 4_000));
            lengths[i] = frame.length;
            frames.put(i * SLOT, frame);
            headers.put(
                    i * SLOT,
                    Requests.header(1, flows[i].gsoType(), 0, 1_448, flows[i].l4(), flows[i].csumOffset(), 0));
        }
        long bytes = 0;
        for (int i = 0; i < WARM_UP; i++) {
            bytes += work();
        }
        final long before = THREADS.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < ROUNDS; i++) {
            bytes += work();
        }
        final long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
        assertEquals(0, allocated);
        assertTrue(bytes > (long) ROUNDS * flows.length * 4_000, "the frames were really segmented");
    }
}

package org.mypervisor.offload.capture;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.mypervisor.offload.capture.CaptureFiles.Frame;

class ReplayQueueTest {
    private static final long SECOND = 1_000_000_000;

    /** The times of all frames, as whoever takes them writes them down. */
    private static List<Long> times(final int loops, final long... nanos) throws IOException {
        final List<Frame> frames = new ArrayList<>();
        for (final long time : nanos) {
            frames.add(new Frame(time, new byte[60], 60));
        }
        final byte[] file = CaptureFiles.pcap(ByteOrder.LITTLE_ENDIAN, true, 0, frames);
        final List<Long> times = new ArrayList<>();
        try (Capture capture = Capture.read("f", new ByteArrayInputStream(file), file.length)) {
            final ReplayQueue queue = new ReplayQueue(capture, Pace.MAX, loops);
            queue.release();
            for (int i = 0; i < loops * nanos.length; i++) {
                queue.newChain();
                final int token = queue.append();
                times.add(queue.lookedNanos());
                queue.complete(token, 0);
            }
            queue.free();
        }
        return times;
    }

    @Test
    void shouldGoOnWithItsTimesWhenItBeginsAgain() throws IOException {
        assertEquals(List.of(5L, 8L, 8L, 11L, 11L, 14L), times(3, 5, 8));
    }

    /** A pcap file has 32 bits for the seconds: those after the last would begin in 1970. */
    @Test
    void shouldBeginWithTheRecordedTimesAgainWhereTimesEnd() throws IOException {
        final long quarter = (1L << 30) * SECOND;
        assertEquals(
                List.of(0L, quarter, quarter, 2 * quarter, 2 * quarter, 3 * quarter, 0L, quarter),
                times(4, 0, quarter));
        final long last = (1L << 32) * SECOND - 1;
        assertEquals(List.of(0L, last, 0L, last), times(2, 0, last));
        // The latest is not always the last.
        assertEquals(List.of(0L, last, 1L, 0L, last, 1L), times(2, 0, last, 1));
    }
}

package org.mypervisor.fuzz;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.mypervisor.offload.capture.Capture;
import org.mypervisor.offload.capture.CaptureException;
import org.mypervisor.offload.capture.CaptureReader;
import org.mypervisor.offload.capture.Pace;
import org.mypervisor.offload.capture.ReplayQueue;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Whatever a capture file holds: it is refused with one line that names a place in it, or its frames are replayed as they are
 * in the file, all of them.
 */
class CaptureFuzzTest {
    private static final String NAME = "fuzzed";
    private static final int MAX_FRAME = 65_589;
    private static final int NET_HDR_SIZE = 10;
    private static final long SECONDS_OF_32_BITS = 1L << 32;
    private static final Pattern PLACE = Pattern.compile(" at byte ([0-9]+)");

    @FuzzTest(maxDuration = "8s")
    void capturesAreRefusedWithAPlaceOrReplayed(final byte[] file) throws IOException {
        final List<byte[]> frames = new ArrayList<>();
        try {
            CaptureReader.read(NAME, new ByteArrayInputStream(file), file.length, (nanos, bytes, length, original) -> {
                assertTrue(0 <= length && length <= MAX_FRAME && length <= original && original < 1L << 32);
                assertTrue(-1 <= nanos && nanos / 1_000_000_000 <= SECONDS_OF_32_BITS + SECONDS_OF_32_BITS / 1000);
                frames.add(Arrays.copyOf(bytes, length));
            });
        } catch (final CaptureException e) {
            checkMessage(e.getMessage(), file.length);
            return;
        }
        try (Capture capture = Capture.read(NAME, new ByteArrayInputStream(file), file.length)) {
            assertEquals(frames.size(), capture.frames());
            replay(capture, frames);
        }
    }

    private static void checkMessage(final String message, final int size) {
        assertTrue(message.startsWith("capture " + NAME), message);
        assertEquals(1, message.lines().count(), message);
        final Matcher place = PLACE.matcher(message);
        while (place.find()) {
            assertTrue(Long.parseLong(place.group(1)) <= size, message);
        }
    }

    private static void replay(final Capture capture, final List<byte[]> frames) throws IOException {
        final ReplayQueue queue = new ReplayQueue(capture, Pace.MAX, 2);
        queue.release();
        for (int round = 0; round < 2; round++) {
            for (final byte[] frame : frames) {
                assertTrue(queue.available(1) > 0);
                final BufferList list = queue.newChain();
                final int token = queue.append();
                assertEquals(NET_HDR_SIZE + frame.length, list.bytes());
                for (int i = 0; i < frame.length; i++) {
                    assertEquals(frame[i], (byte) RawMemory.u8(list.pieceAddress(0) + NET_HDR_SIZE + i));
                }
                queue.complete(token, 0);
            }
        }
        queue.newChain();
        assertEquals(BufferQueue.NONE, queue.append());
        queue.publish();
        assertTrue(queue.isDone());
        queue.free();
    }
}

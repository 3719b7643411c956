package org.mypervisor.offload.capture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.mypervisor.offload.capture.CaptureFiles.Frame;

class CaptureTest {
    private static final int FRAMES = 1_000_000;

    /** Frames of no bytes, which take 16 in the file and 32 in memory. */
    private static byte[] emptyFrames() {
        return CaptureFiles.pcap(
                ByteOrder.LITTLE_ENDIAN, true, 0, Collections.nCopies(FRAMES, new Frame(1, new byte[0], 0)));
    }

    private static Capture read(final byte[] file, final FreeMemory memory) throws IOException {
        return Capture.read("f", new ByteArrayInputStream(file), file.length, memory);
    }

    @Test
    void shouldReadNoFurtherWhenItsFramesTakeMoreMemoryThanThereIs() throws IOException {
        final byte[] file = emptyFrames();
        final long[] left = {80L << 20};
        final String message = assertThrows(CaptureException.class, () -> read(file, () -> left[0] -= 8 << 20))
                .getMessage();
        assertTrue(message.startsWith("capture f: its first "), message);
        assertTrue(message.contains("frames take 24 MiB, and 56 MiB of memory are left"), message);
        assertTrue(message.endsWith("replay it in parts ('editcap -c')"), message);
        assertEquals(1, message.lines().count());
    }

    @Test
    void shouldReadAllWhileThereIsMemory() throws IOException {
        try (Capture capture = read(emptyFrames(), () -> 64L << 20)) {
            assertEquals(FRAMES, capture.frames());
            assertEquals(FRAMES * 32L, capture.end() - capture.begin());
        }
    }

    @Test
    void shouldSayWhyAFileCannotBeHad() {
        assertEquals("permission denied", CaptureException.reason(new AccessDeniedException("f")));
        assertEquals("Is a directory", CaptureException.reason(new FileSystemException("f", null, "Is a directory")));
        assertEquals("Input/output error", CaptureException.reason(new IOException("Input/output error")));
        assertEquals("IOException", CaptureException.reason(new IOException()));
    }
}

package org.mypervisor.offload.capture;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import jnr.ffi.Pointer;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/**
 * All frames of a capture file, checked and copied to private memory, one {@link FrameRecord} behind the other: from then on
 * the file may be changed, cut or deleted. Immutable once loaded; any thread may read it until {@link #close}.
 */
public final class Capture implements AutoCloseable {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private static final int READ_AHEAD = 1 << 18;

    /**
     * What a record takes here over what it takes in the file: at worst 40 bytes instead of 17. Pages that are not written
     * cost nothing.
     */
    private static final int GROWTH = 3;

    private static final Path MEMORY_INFO = Path.of("/proc/meminfo");

    private final long begin;
    private final long reserved;
    private long end;
    private long frames;
    private long firstNanos = FrameSink.NO_TIME;
    private long lastNanos;

    private Capture(final String name, final long fileSize) throws CaptureException {
        reserved = GROWTH * fileSize + FrameRecord.size(FrameRecord.MAX_FRAME);
        final Pointer memory = LIBC.mmap(
                null,
                reserved,
                Libc.PROT_READ_WRITE,
                Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE,
                -1,
                0);
        if (memory == null || memory.address() == -1) {
            throw new CaptureException("capture " + name + ": no memory for " + fileSize + " bytes: " + Libc.lastError()
                    + "; replay a part of it ('editcap -c')");
        }
        begin = memory.address();
        end = begin;
    }

    /**
     * Reads a file.
     *
     * @throws CaptureException when it cannot be replayed as a whole; the message says why, where and what to do
     */
    public static Capture load(final Path file) throws CaptureException {
        try {
            if (!Files.isRegularFile(file)) {
                throw new CaptureException("capture " + file + ": "
                        + (Files.exists(file) ? "is no regular file; save it to one first" : "is not there"));
            }
            final long size = Files.size(file);
            expectMemory(file, size);
            try (InputStream in = new BufferedInputStream(Files.newInputStream(file), READ_AHEAD)) {
                return read(file.toString(), in, size);
            }
        } catch (final CaptureException e) {
            throw e;
        } catch (final IOException e) {
            throw new CaptureException("capture " + file + ": cannot be read: " + e.getMessage());
        }
    }

    /** A process that takes more than there is would be killed instead. */
    private static void expectMemory(final Path file, final long size) throws IOException {
        final List<String> info = Files.readAllLines(MEMORY_INFO);
        for (final String line : info) {
            if (line.startsWith("MemAvailable:")) {
                final long available = Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
                if (size > available) {
                    throw new CaptureException(
                            "capture " + file + ": has " + (size >> 20) + " MiB, and " + (available >> 20)
                                    + " MiB of memory are free to hold it; replay it in parts ('editcap -c')");
                }
            }
        }
    }

    /**
     * Reads what a file would hold.
     *
     * @param name of the file, for messages
     * @param in its bytes; buffered
     * @param size of it in bytes
     * @throws IOException as {@link #load}, or from the stream itself
     */
    public static Capture read(final String name, final InputStream in, final long size) throws IOException {
        final Capture capture = new Capture(name, size);
        try {
            CaptureReader.read(name, in, size, capture::add);
            return capture;
        } catch (final IOException | RuntimeException e) {
            capture.close();
            throw e;
        }
    }

    private void add(final long nanos, final byte[] bytes, final int length, final long originalLength) {
        FrameRecord.put(end, Math.max(nanos, 0), length, originalLength);
        final long to = end + FrameRecord.FRAME_OFFSET;
        int done = 0;
        for (; done <= length - Long.BYTES; done += Long.BYTES) {
            RawMemory.putLe64(to + done, (long) LONGS.get(bytes, done));
        }
        for (; done < length; done++) {
            RawMemory.putU8(to + done, bytes[done]);
        }
        end += FrameRecord.size(length);
        frames++;
        // Those without a time, in front, go at once, before the first that has one.
        firstNanos = firstNanos == FrameSink.NO_TIME ? nanos : firstNanos;
        lastNanos = nanos;
    }

    /** Number of frames, from 0. */
    public long frames() {
        return frames;
    }

    /** Address of the first record. */
    long begin() {
        return begin;
    }

    /** Address behind the last record. */
    long end() {
        return end;
    }

    /** The time of the first frame that has one, or 0. */
    long firstNanos() {
        return Math.max(firstNanos, 0);
    }

    /** From the first frame to the last, and never below 0, whatever the clock did meanwhile. */
    long spanNanos() {
        return Math.max(lastNanos - firstNanos, 0);
    }

    /** Nobody reads it any more. */
    @Override
    public void close() {
        LIBC.munmap(begin, reserved);
    }
}

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

    /** So often it is looked how much memory is left; and so much is left to others. */
    private static final int LOOK_BYTES = 8 << 20;

    private static final long KEPT_FREE = 64L << 20;

    private final String name;
    private final FreeMemory memory;
    private final long begin;
    private final long reserved;
    private long nextLook;
    private long end;
    private long frames;
    private long firstNanos = FrameSink.NO_TIME;
    private long lastNanos;
    private long latestNanos;

    private Capture(final String name, final long fileSize, final FreeMemory memory) throws CaptureException {
        this.name = name;
        this.memory = memory;
        reserved = GROWTH * fileSize + FrameRecord.size(FrameRecord.MAX_FRAME);
        final Pointer map = LIBC.mmap(
                null,
                reserved,
                Libc.PROT_READ_WRITE,
                Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE,
                -1,
                0);
        if (map == null || map.address() == -1) {
            throw new CaptureException("capture " + name + ": no memory for " + fileSize + " bytes: " + Libc.lastError()
                    + "; replay a part of it ('editcap -c')");
        }
        begin = map.address();
        end = begin;
        nextLook = begin + LOOK_BYTES;
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
            final long available = FreeMemory.OF_HOST.bytes();
            if (size > available) {
                throw new CaptureException("capture " + file + ": has " + (size >> 20) + " MiB, and "
                        + (available >> 20) + " MiB of memory are free to hold it; replay it in parts ('editcap -c')");
            }
            try (InputStream in = new BufferedInputStream(Files.newInputStream(file), READ_AHEAD)) {
                return read(file.toString(), in, size);
            }
        } catch (final CaptureException e) {
            throw e;
        } catch (final IOException e) {
            throw new CaptureException("capture " + file + ": cannot be read: " + CaptureException.reason(e));
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
        return read(name, in, size, FreeMemory.OF_HOST);
    }

    static Capture read(final String name, final InputStream in, final long size, final FreeMemory memory)
            throws IOException {
        final Capture capture = new Capture(name, size, memory);
        try {
            CaptureReader.read(name, in, size, capture::add);
            return capture;
        } catch (final IOException | RuntimeException e) {
            capture.close();
            throw e;
        }
    }

    private void add(final long nanos, final byte[] bytes, final int length, final long originalLength)
            throws IOException {
        if (end >= nextLook) {
            nextLook = end + LOOK_BYTES;
            expectMemory();
        }
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
        latestNanos = Math.max(latestNanos, nanos);
    }

    /** The file's size says too little: short frames take more here than there. */
    private void expectMemory() throws IOException {
        final long available = memory.bytes();
        if (available < KEPT_FREE) {
            throw new CaptureException(
                    "capture " + name + ": its first " + frames + " frames take " + (end - begin >> 20)
                            + " MiB, and " + (available >> 20)
                            + " MiB of memory are left, too little for those behind them; replay it in parts ('editcap -c')");
        }
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

    /** The latest time of all frames, or 0. */
    long latestNanos() {
        return latestNanos;
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

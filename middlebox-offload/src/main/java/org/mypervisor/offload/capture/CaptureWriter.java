package org.mypervisor.offload.capture;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.Instant;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.mypervisor.vhostuser.EventFd;
import org.mypervisor.vhostuser.FdWaiter;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * A capture file that is being written, by a thread of its own: the worker that has the frames only copies them to a ring,
 * and drops what finds no room there. Whole records go to the file within milliseconds, so that a process that is killed
 * leaves a file that can be read.
 *
 * <p>Made, started and closed by one control thread.
 */
public final class CaptureWriter implements AutoCloseable {
    /** A hundredth of a second of 10 Gbit/s. */
    private static final int RING_SIZE = 1 << 24;

    private static final int OUT_SIZE = 1 << 20;

    /** Between two looks into the ring while there are frames: so many are written at once, and so seldom we are woken. */
    private static final long PAUSE_NANOS = 1_000_000;

    /** After that the clock is compared with the host's again. */
    private static final int CLOCK_MILLIS = 1000;

    /** So long the file may take for its header, and for what is in the ring in the end; a disk may have to spin up. */
    private static final int BEGIN_MILLIS = 5000;

    private static final int END_MILLIS = 5000;

    /** And so long the kernel, to end a write. */
    private static final int GIVE_UP_MILLIS = 1000;

    private static final String STANDS_STILL = "it did not take all within " + END_MILLIS / 1000 + " s";

    private static final long NANOS_PER_MILLI = 1_000_000;
    private static final long NANOS_PER_SECOND = 1_000_000_000;

    private final CaptureFormat format;
    private final RecordRing ring = new RecordRing(RING_SIZE);
    private final CaptureQueue queue;
    private final CaptureOutput output;
    private final EventFd wake;
    private final FdWaiter waiter;
    private final ByteBuffer out = ByteBuffer.allocateDirect(
                    OUT_SIZE + CaptureFormat.MAX_FILE_HEADER + FrameRecord.size(FrameRecord.MAX_FRAME))
            .order(ByteOrder.LITTLE_ENDIAN);
    private final Thread thread;
    private final CountDownLatch begun = new CountDownLatch(1);
    private boolean started;
    private long clockNanos;
    private int framesInOut;
    private volatile long clockOffset;
    private volatile boolean sleeping;
    private volatile boolean gaveUp;
    private volatile String failure;
    private volatile long lost;

    /**
     * Opens the file, and leaves what is in it until {@link #start}.
     *
     * @param name of the thread
     * @throws IOException when it cannot be written; the message says why
     */
    public CaptureWriter(final Path file, final Limits limits, final String name) throws IOException {
        format = CaptureFormat.of(file.toString());
        queue = new CaptureQueue(ring, this, format, limits);
        thread = new Thread(this::run, name);
        thread.setDaemon(true);
        wake = EventFd.create();
        waiter = new FdWaiter();
        try {
            output = new CaptureOutput(file);
        } catch (final IOException e) {
            free();
            throw e;
        }
    }

    /** Empties the file and begins it anew; waits for that, but not for ever. */
    public void start() {
        readClock();
        format.putFileHeader(out);
        queue.begin(out.position());
        started = true;
        thread.start();
        try {
            begun.await(BEGIN_MILLIS, TimeUnit.MILLISECONDS);
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Where the worker puts frames. */
    public RunningQueue queue() {
        return queue;
    }

    /** Whether the file has all that it may have. Any thread. */
    public boolean isFull() {
        return queue.isFull();
    }

    /** Why nothing is written any more, or null. Any thread. */
    public String failure() {
        return failure;
    }

    /** Frames that were taken and could not be written. Any thread. */
    public long lost() {
        return lost;
    }

    /** Nanoseconds from {@link System#nanoTime} to the host's clock. Any thread. */
    long clockOffset() {
        return clockOffset;
    }

    private void readClock() {
        final Instant now = Instant.now();
        clockNanos = System.nanoTime();
        clockOffset = now.getEpochSecond() * NANOS_PER_SECOND + now.getNano() - clockNanos;
    }

    private void readClockIfOld() {
        if (System.nanoTime() - clockNanos >= CLOCK_MILLIS * NANOS_PER_MILLI) {
            readClock();
        }
    }

    /** There is something in the ring. Worker thread, behind a full fence. */
    void wake() {
        if (sleeping) {
            sleeping = false;
            wake.signal();
        }
    }

    private void run() {
        try {
            begin();
            begun.countDown();
            writeUntilStopped();
        } catch (final RuntimeException | Error e) {
            fail("a mistake of ours: " + e);
        } finally {
            begun.countDown();
        }
    }

    private void begin() {
        try {
            output.empty();
        } catch (final IOException e) {
            fail(CaptureException.reason(e));
        }
        write();
    }

    private void writeUntilStopped() {
        while (true) {
            // Asked first: what was added before the stop is written.
            final boolean last = waiter.isStopped();
            final boolean wrote = drain();
            if (last) {
                return;
            }
            if (wrote) {
                LockSupport.parkNanos(PAUSE_NANOS);
            } else {
                sleep();
            }
        }
    }

    private void sleep() {
        sleeping = true;
        // The store above is seen before this looks: a worker that adds later wakes us.
        if (ring.isEmpty()) {
            waiter.awaitReadable(wake.fd(), CLOCK_MILLIS);
            wake.drain();
        }
        sleeping = false;
        readClockIfOld();
    }

    /** Writes all that there is; false when that is nothing. */
    private boolean drain() {
        long record = ring.oldest();
        if (record == 0) {
            return false;
        }
        for (; record != 0; record = ring.oldest()) {
            final int length = FrameRecord.length(record);
            put(record, length);
            ring.remove(length);
            if (out.position() >= OUT_SIZE) {
                ring.giveBack();
                write();
            }
        }
        ring.giveBack();
        write();
        return true;
    }

    private void put(final long record, final int length) {
        format.putFront(out, FrameRecord.nanos(record), length, FrameRecord.originalLength(record));
        final long frame = record + FrameRecord.FRAME_OFFSET;
        int done = 0;
        for (; done <= length - Long.BYTES; done += Long.BYTES) {
            out.putLong(RawMemory.le64(frame + done));
        }
        for (; done < length; done++) {
            out.put((byte) RawMemory.u8(frame + done));
        }
        format.putBack(out, length);
        framesInOut++;
    }

    private void write() {
        out.flip();
        if (failure == null) {
            try {
                output.write(out);
            } catch (final IOException e) {
                fail(gaveUp ? STANDS_STILL : CaptureException.reason(e));
            }
        }
        if (failure != null) {
            lost += framesInOut;
        }
        framesInOut = 0;
        out.clear();
        // Where frames never stop, this is all that is done over and over.
        readClockIfOld();
    }

    private void fail(final String why) {
        failure = output.message(why);
    }

    /**
     * Writes what is still in the ring; no more comes. What a file that stands still has not taken then is lost. A file that was
     * not started is left as it was.
     */
    @Override
    public void close() throws IOException {
        if (!started) {
            output.leave();
            free();
            return;
        }
        try {
            waiter.stop();
            thread.join(END_MILLIS);
            if (thread.isAlive()) {
                giveUp();
            }
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        // If the kernel does not let go of the thread, its memory stays with it.
        if (!thread.isAlive()) {
            output.close();
            free();
        }
    }

    /** Ends the write that the thread waits in. */
    private void giveUp() throws InterruptedException {
        gaveUp = true;
        // This closes the file, for which it waits until nobody writes: a disk that hangs would hang us as well.
        final Thread interrupting = new Thread(thread::interrupt, thread.getName() + "-end");
        interrupting.setDaemon(true);
        interrupting.start();
        thread.join(GIVE_UP_MILLIS);
        if (thread.isAlive()) {
            fail(STANDS_STILL);
        }
    }

    private void free() {
        wake.close();
        waiter.close();
        ring.free();
    }
}

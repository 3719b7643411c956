package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.mypervisor.driversim.NetDriver;

/** Sends and receives as fast as it can, in a thread of its own, until told to stop or until its memory is gone. */
final class Load implements AutoCloseable {
    private static final byte[] FRAME = new byte[600];
    private static final int HOT_FRAMES = 2000;

    private final NetDriver driver;
    private final AtomicBoolean stopped = new AtomicBoolean();
    private final AtomicLong sent = new AtomicLong();
    private final AtomicLong received = new AtomicLong();
    private final Thread thread = new Thread(this::run, "load");
    private volatile Throwable end;

    Load(final NetDriver driver) {
        this.driver = driver;
        thread.setDaemon(true);
        thread.start();
    }

    private void run() {
        try {
            while (!stopped.get()) {
                driver.transmit(FRAME);
                sent.incrementAndGet();
                while (driver.pollFrame() != null) {
                    received.incrementAndGet();
                }
            }
        } catch (final RuntimeException | Error e) {
            end = e;
        }
    }

    /** Returns when many more frames have come. */
    void awaitHot() {
        final long before = received.get();
        RunningBackend.await("traffic", () -> received.get() > before + HOT_FRAMES || end != null);
        assertTrue(end == null, () -> "load ended: " + end);
    }

    static void awaitHot(final Load... loads) {
        for (final Load load : loads) {
            load.awaitHot();
        }
    }

    /** Says that it shall end, and does not wait. */
    void tellToStop() {
        stopped.set(true);
    }

    /** Returns what ended the thread early, or null. */
    Throwable stop() {
        close();
        return end;
    }

    /** Frames that the driver made available. */
    long sent() {
        return sent.get();
    }

    /** Frames that came, after {@link #stop} also those that come while this waits. */
    long received() {
        return received.get();
    }

    /** After {@link #stop}: takes what still arrives until all that was sent has come back to its driver. */
    void collect() {
        while (driver.pollFrame() != null) {
            received.incrementAndGet();
        }
    }

    @Override
    public void close() {
        stopped.set(true);
        try {
            thread.join();
        } catch (final InterruptedException e) {
            throw new AssertionError(e);
        }
    }
}

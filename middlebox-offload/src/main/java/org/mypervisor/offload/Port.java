package org.mypervisor.offload;

import org.mypervisor.offload.gso.GuestOffloads;
import org.mypervisor.offload.gso.OffloadRequest;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * A port as the packet way sees it, whatever its type: the queues that run, and the counters.
 *
 * <p>Queue state belongs to the port's worker. {@link #start}, {@link #stop} and {@link #enable}, called by the port's
 * {@link Attachment}, change it by a command that the worker executes between bursts; they return when that is done. A
 * command may be executed again after a memory fault, so each one may be repeated.
 */
final class Port {
    /** Far longer than rings need to move, and short enough for those who wait if they do not come back. */
    private static final long HELD_AT_MOST_NANOS = 100_000_000;

    private final String id;
    private final int queuePairs;
    private final long waitNanos;
    private final RunningQueue[] queues;
    private final boolean[] enabled;
    private final RunningQueue[] usableReceiveqs;
    private int usableReceiveqCount;
    private boolean up;
    private boolean held;
    private long heldSince;
    private boolean hostOffloads;
    private GuestOffloads guestOffloads = new GuestOffloads(0);
    private long patienceNanos;
    private Worker worker;
    private Wire firstWire;

    final Counter receivedPackets = new Counter();
    final Counter receivedBytes = new Counter();
    final Counter sentPackets = new Counter();
    final Counter sentBytes = new Counter();
    final Counter kicks = new Counter();
    final Counter calls = new Counter();
    final Counter[] drops = Counter.array(DropReason.COUNT);
    final Counter[] faults = Counter.array(RingFault.COUNT);

    /**
     * @param waitNanos how long a frame may wait in its source ring for a receive buffer of this port
     */
    Port(final String id, final int queuePairs, final long waitNanos) {
        this.id = id;
        this.queuePairs = queuePairs;
        this.waitNanos = waitNanos;
        this.queues = new RunningQueue[2 * queuePairs];
        this.enabled = new boolean[2 * queuePairs];
        this.usableReceiveqs = new RunningQueue[queuePairs];
    }

    String id() {
        return id;
    }

    int queuePairs() {
        return queuePairs;
    }

    long waitNanos() {
        return waitNanos;
    }

    /** How long frames of this port may wait for room, if their destination would not let them wait as long. */
    long patienceNanos() {
        return patienceNanos;
    }

    /** Before any wire is made. */
    void setPatience(final long nanos) {
        patienceNanos = nanos;
    }

    /** Before any session starts. */
    void assignTo(final Worker newWorker) {
        worker = newWorker;
    }

    /** The wire that takes the frames of pair 0. Before any session starts. */
    void setFirstWire(final Wire wire) {
        firstWire = wire;
    }

    Worker worker() {
        return worker;
    }

    /**
     * From now on the worker runs this queue, and looks at it once at once.
     *
     * @param index 2 * pair for the queue that takes frames of ours (a receiveq), 2 * pair + 1 for the one we take frames
     *     from (a transmitq)
     */
    void start(final int index, final RunningQueue queue) {
        worker.execute(() -> {
            queues[index] = queue;
            hostOffloads = (queue.queue().features() & OffloadRequest.HOST_OFFLOADS) != 0;
            guestOffloads = new GuestOffloads(queue.queue().features());
            if (isTransmitq(index)) {
                worker.watchKick(queue, this);
            }
            refresh();
        });
    }

    /** When this returns, the worker has published all that it completed and will not touch the queue again. */
    void stop(final int index) {
        worker.execute(() -> {
            final RunningQueue stopped = queues[index];
            if (stopped != null && isTransmitq(index)) {
                worker.forgetKick(stopped);
            }
            queues[index] = null;
            refresh();
            // What a suspended wire had completed. If its page is gone, the repetition does without.
            if (stopped != null && stopped.queue().fault() == null) {
                calls.add(stopped.publishAndCall());
            }
        });
    }

    /** A queue that is started but not enabled passes no frames; what is sent there is discarded. */
    void enable(final int index, final boolean on) {
        worker.execute(() -> {
            enabled[index] = on;
            refresh();
        });
    }

    /**
     * Frames for this port, and those it guards, wait from now on until {@link #release}: its queues stop only to start again
     * at once.
     */
    void hold() {
        worker.execute(() -> {
            held = true;
            heldSince = System.nanoTime();
        });
    }

    void release() {
        worker.execute(() -> held = false);
    }

    /** Sends a frame of our own to the far side of the port's path. */
    void announce(final byte[] own) {
        final Packet frame = new Packet();
        frame.load(own);
        worker.execute(() -> firstWire.inject(frame));
        frame.close();
    }

    private void refresh() {
        usableReceiveqCount = 0;
        for (int pair = 0; pair < queuePairs; pair++) {
            if (queues[2 * pair] != null && enabled[2 * pair]) {
                usableReceiveqs[usableReceiveqCount++] = queues[2 * pair];
            }
        }
        up = isRunning(0) && isRunning(1);
    }

    private boolean isRunning(final int index) {
        return queues[index] != null && enabled[index];
    }

    private static boolean isTransmitq(final int index) {
        return index % 2 == 1;
    }

    /** Pair 0 started and enabled. Worker thread. */
    boolean isUp() {
        return up;
    }

    /**
     * Whether a frame for this port has to wait because its queues are coming back. Worker thread.
     *
     * @param now as of {@link System#nanoTime}
     */
    boolean isHeld(final long now) {
        return held && now - heldSince < HELD_AT_MOST_NANOS;
    }

    /** The started transmitq of a pair, or null. Worker thread. */
    RunningQueue transmitq(final int pair) {
        return queues[2 * pair + 1];
    }

    /** Whether frames of this transmitq go anywhere; else they are discarded. Worker thread. */
    boolean isTransmitqEnabled(final int pair) {
        return enabled[2 * pair + 1];
    }

    /** Whether the other side may leave checksums and segmentation of what it sends to us. Worker thread. */
    boolean hasHostOffloads() {
        return hostOffloads;
    }

    /** What may be left to the other side of what it receives. Worker thread. */
    GuestOffloads guestOffloads() {
        return guestOffloads;
    }

    /** The receiveq that gets the frames of a source's pair, or null while the port is not up. Worker thread. */
    RunningQueue receiveqFor(final int sourcePair) {
        return up ? usableReceiveqs[sourcePair % usableReceiveqCount] : null;
    }
}

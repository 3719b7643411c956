package org.mypervisor.offload;

import org.mypervisor.offload.gso.GuestOffloads;
import org.mypervisor.offload.gso.OffloadRequest;
import org.mypervisor.vhostuser.DataPlane;
import org.mypervisor.vhostuser.EventFd;
import org.mypervisor.vhostuser.Vring;
import org.mypervisor.virtqueue.RingFault;

/**
 * A port as the packet way sees it: the rings that run, and the counters.
 *
 * <p>Ring state belongs to the port's worker. The {@link DataPlane} methods, called by the port's session, change it by a
 * command that the worker executes between bursts; they return when that is done. A command may be executed again after a
 * memory fault, so each one may be repeated.
 */
final class Port implements DataPlane {
    private final String id;
    private final int queuePairs;
    private final long waitNanos;
    private final Vring[] vrings;
    private final boolean[] enabled;
    private final Vring[] usableReceiveqs;
    private int usableReceiveqCount;
    private boolean up;
    private boolean hostOffloads;
    private GuestOffloads guestOffloads = new GuestOffloads(0);
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
        this.vrings = new Vring[2 * queuePairs];
        this.enabled = new boolean[2 * queuePairs];
        this.usableReceiveqs = new Vring[queuePairs];
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

    @Override
    public void start(final int index, final Vring vring) {
        worker.execute(() -> {
            vrings[index] = vring;
            hostOffloads = (vring.queue().features() & OffloadRequest.HOST_OFFLOADS) != 0;
            guestOffloads = new GuestOffloads(vring.queue().features());
            if (isTransmitq(index)) {
                worker.watchKick(vring, this);
            }
            refresh();
        });
    }

    @Override
    public void stop(final int index) {
        worker.execute(() -> {
            final Vring stopped = vrings[index];
            if (stopped != null && isTransmitq(index)) {
                worker.forgetKick(stopped);
            }
            vrings[index] = null;
            refresh();
            // What a suspended wire had completed. If its page is gone, the repetition does without.
            if (stopped != null && stopped.queue().fault() == null) {
                calls.add(stopped.publishAndCall());
            }
        });
    }

    @Override
    public void enable(final int index, final boolean on) {
        worker.execute(() -> {
            enabled[index] = on;
            refresh();
        });
    }

    @Override
    public void setCall(final int index, final EventFd call) {
        worker.execute(() -> vrings[index].setCall(call));
    }

    @Override
    public void announce(final byte[] mac) {
        final Packet frame = new Packet();
        frame.load(Rarp.frame(mac));
        worker.execute(() -> firstWire.inject(frame));
        frame.close();
    }

    @Override
    public void countFault(final RingFault fault) {
        worker.execute(() -> faults[fault.ordinal()].add(1));
    }

    /** Gives all rings up if a call eventfd of this port is full, and frees the worker. The thread that watches over calls. */
    void breakIfCallBlocked() {
        for (final Vring vring : vrings) {
            if (vring != null && vring.isCallBlocked()) {
                breakForBlockedCall();
                return;
            }
        }
    }

    /** All rings first, so that the worker does not run from one blocked call into the next. */
    private void breakForBlockedCall() {
        for (final Vring vring : vrings) {
            if (vring != null) {
                vring.queue().breakRing(RingFault.CALL_BLOCKED);
            }
        }
        for (final Vring vring : vrings) {
            if (vring != null) {
                vring.freeCall();
            }
        }
    }

    private void refresh() {
        usableReceiveqCount = 0;
        for (int pair = 0; pair < queuePairs; pair++) {
            if (vrings[2 * pair] != null && enabled[2 * pair]) {
                usableReceiveqs[usableReceiveqCount++] = vrings[2 * pair];
            }
        }
        up = isRunning(0) && isRunning(1);
    }

    private boolean isRunning(final int index) {
        return vrings[index] != null && enabled[index];
    }

    private static boolean isTransmitq(final int index) {
        return index % 2 == 1;
    }

    /** Pair 0 started and enabled. Worker thread. */
    boolean isUp() {
        return up;
    }

    /** The started transmitq of a pair, or null. Worker thread. */
    Vring transmitq(final int pair) {
        return vrings[2 * pair + 1];
    }

    /** Whether frames of this transmitq go anywhere; else they are discarded. Worker thread. */
    boolean isTransmitqEnabled(final int pair) {
        return enabled[2 * pair + 1];
    }

    /** Whether the driver may leave checksums and segmentation of what it sends to us. Worker thread. */
    boolean hasHostOffloads() {
        return hostOffloads;
    }

    /** What may be left to the driver of what it receives. Worker thread. */
    GuestOffloads guestOffloads() {
        return guestOffloads;
    }

    /** The receiveq that gets the frames of a source's pair, or null while the port is not up. Worker thread. */
    Vring receiveqFor(final int sourcePair) {
        return up ? usableReceiveqs[sourcePair % usableReceiveqCount] : null;
    }
}

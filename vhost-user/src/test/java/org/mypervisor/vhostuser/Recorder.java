package org.mypervisor.vhostuser;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.Virtqueue;

/**
 * A data plane for tests: keeps what the session said, and gives back every available chain of the rings it has when the
 * test calls {@link #run}. Its lock stands for the worker's acknowledgement: no ring is touched after {@link #stop}.
 */
final class Recorder implements DataPlane {
    private final List<String> events = new ArrayList<>();
    private final List<RingFault> faults = new ArrayList<>();
    private final Map<Integer, Vring> rings = new TreeMap<>();
    private final Map<Integer, Boolean> enabled = new TreeMap<>();

    @Override
    public synchronized void start(final int index, final Vring vring) {
        events.add("start " + index + " at " + vring.queue().base());
        if (rings.put(index, vring) != null) {
            throw new AssertionError("ring " + index + " was started twice");
        }
    }

    @Override
    public synchronized void stop(final int index) {
        events.add("stop " + index);
        if (rings.remove(index) == null) {
            throw new AssertionError("ring " + index + " was stopped, but does not run");
        }
    }

    @Override
    public void hold() {}

    @Override
    public void release() {}

    @Override
    public synchronized void enable(final int index, final boolean on) {
        enabled.put(index, on);
    }

    @Override
    public synchronized void setCall(final int index, final EventFd call) {
        events.add("setCall " + index);
        rings.get(index).setCall(call);
    }

    @Override
    public synchronized void countFault(final RingFault fault) {
        faults.add(fault);
    }

    /** What was given up, in the order in which it was counted. */
    synchronized List<RingFault> faults() {
        return List.copyOf(faults);
    }

    @Override
    public synchronized void announce(final byte[] mac) {
        events.add("announce " + HexFormat.of().formatHex(mac));
    }

    /** Completes every available chain of every started ring with this length; returns how many chains that were. */
    synchronized int run(final int bytesWritten) {
        int count = 0;
        for (final Vring vring : rings.values()) {
            final Virtqueue queue = vring.queue();
            while (queue.available(1) != 0) {
                queue.newChain();
                final int token = queue.append();
                if (queue.fault() == null) {
                    queue.complete(token >= 0 ? token : queue.malformedToken(), bytesWritten);
                    count++;
                }
            }
            vring.publishAndCall();
        }
        return count;
    }

    /** What happened since the last call. */
    synchronized List<String> takeEvents() {
        final List<String> taken = List.copyOf(events);
        events.clear();
        return taken;
    }

    synchronized boolean isStarted(final int index) {
        return rings.containsKey(index);
    }

    synchronized boolean isEnabled(final int index) {
        return enabled.getOrDefault(index, false);
    }

    synchronized Vring ring(final int index) {
        return rings.get(index);
    }
}

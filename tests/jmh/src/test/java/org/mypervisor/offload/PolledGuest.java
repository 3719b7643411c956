package org.mypervisor.offload;

import java.util.concurrent.TimeUnit;
import org.mypervisor.jmh.SteadyRing;
import org.mypervisor.vhostuser.PolledVring;

/** A VM whose driver polls, and its port, for which frames wait. Turns of its wires are for the caller's own thread. */
record PolledGuest(Port port, SteadyRing receiveq, SteadyRing transmitq) implements AutoCloseable {
    static PolledGuest of(final String id, final SteadyRing receiveq, final SteadyRing transmitq) {
        // Only starts the queues.
        final Worker worker = new Worker(0, Worker.ANY_CPU, new BusyIdle(), () -> {});
        worker.start();
        final Port port = new Port(id, 1, TimeUnit.HOURS.toNanos(1));
        port.assignTo(worker);
        port.start(0, PolledVring.of(receiveq.device()));
        port.start(1, PolledVring.of(transmitq.device()));
        port.enable(0, true);
        port.enable(1, true);
        worker.stop();
        return new PolledGuest(port, receiveq, transmitq);
    }

    @Override
    public void close() {
        receiveq.close();
        transmitq.close();
    }
}

package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.io.IOException;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.offload.config.PortSpec;
import org.mypervisor.vhostuser.Endpoint;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RingFault;

/** What a ring's front-end can rely on once it has stopped it. */
@Timeout(30)
final class StopTest {
    @TempDir
    private java.nio.file.Path folder;

    private final Port port = new Port("p", 1, 0);
    private final Wire wire = new Wire(new WireEnds(port, 0, null, new Port[0]), null, new Element[0], new Patience(0));

    private static PortSpec.VhostUser vhostUser(final java.nio.file.Path socket) {
        return new PortSpec.VhostUser(
                socket.toString(),
                true,
                new PortSpec.Offered(true, true, true, true, true),
                new PortSpec.Access(0660, Optional.empty(), Optional.empty()));
    }

    private static PortSpec spec(final java.nio.file.Path socket) {
        return new PortSpec("p", 1, true, 0, vhostUser(socket), null);
    }

    private Worker startedWorker() throws IOException {
        final Worker worker = new Worker(0, Worker.ANY_CPU, new AdaptiveIdle(), () -> {});
        port.assignTo(worker);
        port.setFirstWire(wire);
        worker.add(wire);
        worker.start();
        return worker;
    }

    /** What the worker does with the driver's chain before a memory fault breaks its turn off. */
    private void completeOneAndSuspend() {
        final BufferQueue queue = port.transmitq(0).queue();
        queue.newChain();
        queue.complete(queue.append(), 0);
    }

    private int usedIdxAfterStop(final boolean broken) throws IOException {
        final java.nio.file.Path socket = folder.resolve("s" + broken);
        final Worker worker = startedWorker();
        try (VhostUserPort endpoint = new VhostUserPort(port, spec(socket), vhostUser(socket))) {
            endpoint.start();
            try (NetDriver driver = NetDriver.launchLikeQemu(socket, LIKE_QEMU, NetOptions.defaults())) {
                RunningBackend.await("up", () -> endpoint.state() == Endpoint.State.UP);
                worker.execute(wire::suspend);
                driver.transmit(new byte[60]);
                worker.execute(this::completeOneAndSuspend);
                if (broken) {
                    port.transmitq(0).queue().breakRing(RingFault.MEMORY_GONE);
                }
                assertEquals(1, driver.frontend().getVringBase(1));
                return driver.splitTransmitq().ring().usedIdx();
            }
        } finally {
            worker.stop();
        }
    }

    @Test
    void shouldPublishWhatASuspendedWireCompletedWhenItsRingIsStopped() throws IOException {
        assertEquals(1, usedIdxAfterStop(false));
    }

    @Test
    void shouldNotTouchABrokenRingWhenItIsStopped() throws IOException {
        assertEquals(0, usedIdxAfterStop(true));
    }
}

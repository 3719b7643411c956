package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.offload.host.TapInterface;
import org.mypervisor.vhostuser.Endpoint;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;

/** What a port does about its own queues. Interfaces need root. */
@Timeout(60)
final class InterfacePortTest {
    private final Worker worker = new Worker(0, Worker.ANY_CPU, new BusyIdle(), () -> {});
    private final Port port = new Port("p", 1, 0);

    private final String name = "mp" + ProcessHandle.current().pid();

    private RunningQueue queue(final int index) {
        final AtomicReference<RunningQueue> found = new AtomicReference<>();
        worker.execute(() -> found.set(index == 1 ? port.transmitq(0) : port.receiveqFor(0)));
        return found.get();
    }

    /** A mistake of ours costs frames, but not the port for as long as it lives. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1})
    void shouldOpenABrokenQueueAnew(final int index) throws IOException {
        assumeTrue("root".equals(System.getProperty("user.name")), "interfaces need root");
        assumeTrue(Files.exists(Path.of("/dev/net/tun")), "there is no /dev/net/tun");
        worker.start();
        port.assignTo(worker);
        final InterfacePort attachment = new InterfacePort(port, new TapInterface(name, 1, true, 0));
        try {
            attachment.start();
            RunningBackend.await("up", () -> attachment.state() == Endpoint.State.UP);
            final BufferQueue broken = queue(index).queue();
            broken.breakRing(RingFault.BACK_END_ERROR);
            RunningBackend.await("another queue", () -> {
                final RunningQueue now = queue(index);
                return now != null && now.queue() != broken;
            });
            RunningBackend.await("up again", () -> attachment.state() == Endpoint.State.UP);
            assertNull(queue(index).queue().fault());
        } finally {
            attachment.close();
            worker.stop();
        }
    }
}

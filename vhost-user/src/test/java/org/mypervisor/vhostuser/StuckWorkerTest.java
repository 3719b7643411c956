package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.SplitDriver;
import org.mypervisor.driversim.SplitLayout;
import org.mypervisor.virtqueue.RingFault;

/** A worker that does not let go of its rings: their memory stays, nothing else does. */
@Timeout(30)
class StuckWorkerTest {
    @TempDir
    Path folder;

    private static final class Stuck implements DataPlane {
        @Override
        public void start(final int index, final Vring vring) {}

        @Override
        public void stop(final int index) {
            throw new IllegalStateException("a test's worker is stuck");
        }

        @Override
        public void hold() {}

        @Override
        public void release() {}

        @Override
        public void enable(final int index, final boolean enabled) {}

        @Override
        public void setCall(final int index, final EventFd call) {}

        @Override
        public void announce(final byte[] mac) {}

        @Override
        public void countFault(final RingFault fault) {}
    }

    @Test
    void shouldUnmapNewMemoryWhenRingsCannotMoveThere() throws IOException {
        final Path socket = folder.resolve("s");
        try (Endpoint endpoint = new Endpoint(
                        "p", new SocketOptions(socket, true, 0660, null, null), DeviceOptions.defaults(), new Stuck());
                Frontend frontend = Frontend.client(socket);
                GuestMemoryFile first = GuestMemoryFile.likeQemu(4 << 20);
                GuestMemoryFile second = GuestMemoryFile.likeQemu(4 << 20)) {
            endpoint.start();
            frontend.connectLikeQemu();
            try (SplitDriver receiveq = driver(first, frontend);
                    SplitDriver transmitq = driver(first, frontend)) {
                frontend.startLikeQemu(first, receiveq, transmitq);
                TestPort.await(() -> endpoint.state() == Endpoint.State.UP, "up");
                final long before = ProcessState.now().mappings();
                frontend.setMemTable(second.table(), second.tableFds());
                TestPort.await(() -> endpoint.state() == Endpoint.State.DOWN, "given up");
                assertEquals(before, ProcessState.now().mappings());
                assertTrue(before > 0);
            }
        }
    }

    private static SplitDriver driver(final GuestMemoryFile memory, final Frontend frontend) {
        return new SplitDriver(memory, SplitLayout.allocate(memory, TestPort.RING_SIZE), frontend.features());
    }
}

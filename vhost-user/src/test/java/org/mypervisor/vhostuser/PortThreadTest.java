package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.virtqueue.RingFault;

/** A port's thread outlives whatever is thrown at it. */
@Timeout(30)
class PortThreadTest {
    @TempDir
    Path folder;

    /** Runs out of memory whenever a guest is announced. */
    private static final class Failing implements DataPlane {
        @Override
        public void start(final int index, final Vring vring) {}

        @Override
        public void stop(final int index) {}

        @Override
        public void hold() {}

        @Override
        public void release() {}

        @Override
        public void enable(final int index, final boolean enabled) {}

        @Override
        public void setCall(final int index, final EventFd call) {}

        @Override
        public void announce(final byte[] mac) {
            throw new OutOfMemoryError("a test's");
        }

        @Override
        public void countFault(final RingFault fault) {}
    }

    @Test
    void shouldServeTheNextFrontendWhenMemoryRanOut() throws IOException {
        final Path socket = folder.resolve("s");
        try (Endpoint endpoint = new Endpoint(
                        "p",
                        new SocketOptions(socket, true, 0660, null, null),
                        DeviceOptions.defaults(),
                        new Failing());
                Frontend frontend = Frontend.client(socket)) {
            endpoint.start();
            for (int i = 0; i < 2; i++) {
                frontend.connectLikeQemu();
                assertTrue(frontend.offered() != 0);
                frontend.sendRarp(new byte[6]);
                frontend.disconnect();
            }
            assertEquals(Endpoint.State.DOWN, endpoint.state());
        }
    }
}

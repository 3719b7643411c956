package org.mypervisor.offload;

import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;

/** A guest whose front-end is connected and whose rings the test may spoil before and after they start. */
record HandMadeGuest(RunningBackend backend, String port, GuestMemoryFile memory, Frontend frontend, NetDriver driver)
        implements AutoCloseable {
    private static final long MEMORY_BYTES = 64 << 20;

    static HandMadeGuest connect(final RunningBackend backend, final String port, final NetOptions options) {
        return connect(backend, port, GuestMemoryFile.likeQemu(MEMORY_BYTES), options);
    }

    static HandMadeGuest connect(final RunningBackend backend, final String port, final Rings rings) {
        return connect(backend, port, GuestMemoryFile.likeQemu(MEMORY_BYTES), rings.options(), rings.features());
    }

    /** Closes the memory with the guest. */
    static HandMadeGuest connect(
            final RunningBackend backend, final String port, final GuestMemoryFile memory, final NetOptions options) {
        return connect(backend, port, memory, options, LIKE_QEMU);
    }

    private static HandMadeGuest connect(
            final RunningBackend backend,
            final String port,
            final GuestMemoryFile memory,
            final NetOptions options,
            final long features) {
        final Frontend frontend = Frontend.client(backend.socket(port)).want(features);
        frontend.connectLikeQemu();
        return new HandMadeGuest(backend, port, memory, frontend, new NetDriver(frontend, memory, options));
    }

    /** Starts the rings as they are, without posting buffers. */
    HandMadeGuest start() {
        frontend.startLikeQemu(memory, driver.vrings());
        awaitState("up");
        return this;
    }

    void awaitState(final String state) {
        try {
            RunningBackend.await(state, () -> backend.port(port).state().equals(state));
        } catch (final AssertionError e) {
            throw new AssertionError("not " + state + ": " + backend.stats(), e);
        }
    }

    @Override
    public void close() {
        driver.close();
        frontend.close();
        memory.close();
        awaitState("down");
    }
}

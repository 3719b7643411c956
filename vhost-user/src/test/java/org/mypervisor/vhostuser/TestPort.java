package org.mypervisor.vhostuser;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.SplitDriver;
import org.mypervisor.driversim.Virtio;

/** A started {@link Endpoint} with a recorder behind it, and a simulated front-end with memory and rings before it. */
final class TestPort implements AutoCloseable {
    static final Duration TIMEOUT = Duration.ofSeconds(5);
    static final int RING_SIZE = 16;
    /** Packed rings need not have a power of two. */
    static final int PACKED_RING_SIZE = 7;

    final Recorder recorder = new Recorder();
    final Endpoint endpoint;
    final Frontend frontend;
    final GuestMemoryFile memory = GuestMemoryFile.likeQemu(4 << 20);
    final DriverQueue[] vrings;

    private TestPort(final Path socket, final int pairs, final boolean weListen) {
        frontend = weListen ? Frontend.client(socket) : Frontend.server(socket);
        frontend.setTimeout(TIMEOUT);
        try {
            endpoint = new Endpoint(
                    "test",
                    new SocketOptions(socket, weListen, 0660, null, null),
                    new DeviceOptions(pairs, true, true, true, true, true, true),
                    recorder);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        endpoint.start();
        vrings = new DriverQueue[2 * pairs];
    }

    /** We listen; the front-end is not connected yet. */
    static TestPort listening(final Path folder) {
        return new TestPort(folder.resolve("s"), 1, true);
    }

    static TestPort listening(final Path folder, final int pairs) {
        return new TestPort(folder.resolve("s"), pairs, true);
    }

    /** The front-end listens and we connect. */
    static TestPort connecting(final Path folder) {
        return new TestPort(folder.resolve("s"), 1, false);
    }

    /** A port with QEMU's connection, before any driver runs. */
    static TestPort connected(final Path folder) {
        return connected(folder, Virtio.LIKE_QEMU);
    }

    /** As {@link #connected(Path)}, with QEMU and guest accepting no more than these features. */
    static TestPort connected(final Path folder, final long features) {
        final TestPort port = listening(folder);
        port.frontend.want(features).connectLikeQemu();
        port.layOutRings();
        return port;
    }

    /** A port whose driver runs the way QEMU starts it. */
    static TestPort running(final Path folder) {
        return running(folder, Virtio.LIKE_QEMU);
    }

    static TestPort running(final Path folder, final long features) {
        final TestPort port = connected(folder, features);
        port.frontend.startLikeQemu(port.memory, port.vrings);
        port.fence();
        return port;
    }

    /** What QEMU and a Linux guest accept, with or without {@code packed=on}. */
    static long likeQemu(final boolean packed) {
        return packed ? Virtio.LIKE_QEMU_PACKED : Virtio.LIKE_QEMU;
    }

    private int ringSize() {
        return isPacked() ? PACKED_RING_SIZE : RING_SIZE;
    }

    boolean isPacked() {
        return Virtio.has(frontend.features(), Virtio.VIRTIO_F_RING_PACKED);
    }

    /** What GET_VRING_BASE answers after so many chains of one descriptor. */
    int baseAfter(final int chains) {
        if (!isPacked()) {
            return chains & 0xFFFF;
        }
        final int half = chains % ringSize() | (chains / ringSize() % 2 == 0 ? 0x8000 : 0);
        return half << 16 | half;
    }

    /** The driver of a split ring. */
    SplitDriver split(final int index) {
        return (SplitDriver) vrings[index];
    }

    /** Fresh rings, for the features chosen by now. */
    void layOutRings() {
        layOutRings(memory);
    }

    void layOutRings(final GuestMemoryFile where) {
        for (int i = 0; i < vrings.length; i++) {
            if (vrings[i] != null) {
                vrings[i].close();
            }
            vrings[i] = DriverQueue.allocate(where, ringSize(), frontend.features());
        }
    }

    /** Everything sent so far has been obeyed once this returns. */
    void fence() {
        frontend.getFeatures();
    }

    /** The driver sends through each ring, and the device gives back: rings, memory and calls work. */
    void assertRingsWork() {
        final long gpa = 0x100000 + 0x20000;
        for (int index = 0; index < vrings.length; index++) {
            final DriverQueue driver = vrings[index];
            final int head = driver.addOne(gpa, 64, index % 2 == 0);
            driver.enableInterrupts();
            driver.publishAndKick();
            recorder.run(0);
            if (driver.awaitUsed(TIMEOUT).head() != head) {
                throw new AssertionError("ring " + index + " gave another chain back");
            }
        }
    }

    void awaitState(final Endpoint.State state) {
        await(() -> endpoint.state() == state, "state " + state);
    }

    static void await(final BooleanSupplier condition, final String what) {
        await(condition, () -> what);
    }

    static void await(final BooleanSupplier condition, final Supplier<String> what) {
        final long deadline = System.nanoTime() + TIMEOUT.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("timeout: waited for " + what.get());
            }
            Thread.yield();
        }
    }

    /** The connection is gone on both sides; a new front-end can work. */
    void assertServesTheNext() {
        frontend.disconnect();
        frontend.connectLikeQemu();
        layOutRings();
        frontend.startLikeQemu(memory, vrings);
        fence();
        assertRingsWork();
    }

    @Override
    public void close() {
        try {
            for (final DriverQueue vring : vrings) {
                if (vring != null) {
                    vring.close();
                }
            }
            endpoint.close();
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            frontend.close();
            memory.close();
        }
    }
}

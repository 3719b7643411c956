package org.mypervisor.vhostuser;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.SplitDriver;
import org.mypervisor.driversim.SplitLayout;

/** A started {@link Endpoint} with a recorder behind it, and a simulated front-end with memory and rings before it. */
final class TestPort implements AutoCloseable {
    static final Duration TIMEOUT = Duration.ofSeconds(5);
    static final int RING_SIZE = 16;

    final Recorder recorder = new Recorder();
    final Endpoint endpoint;
    final Frontend frontend;
    final GuestMemoryFile memory = GuestMemoryFile.likeQemu(4 << 20);
    final SplitDriver[] vrings;

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
        vrings = new SplitDriver[2 * pairs];
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
        final TestPort port = listening(folder);
        port.frontend.connectLikeQemu();
        port.layOutRings();
        return port;
    }

    /** A port whose driver runs the way QEMU starts it. */
    static TestPort running(final Path folder) {
        final TestPort port = connected(folder);
        port.frontend.startLikeQemu(port.memory, port.vrings);
        port.fence();
        return port;
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
            vrings[i] = new SplitDriver(where, SplitLayout.allocate(where, RING_SIZE), frontend.features());
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
            final SplitDriver driver = vrings[index];
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
            for (final SplitDriver vring : vrings) {
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

package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.DriverRing;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.PackedDriver;
import org.mypervisor.driversim.PackedRing;
import org.mypervisor.driversim.RingLayout;
import org.mypervisor.driversim.SplitDriver;

/**
 * One ring of either kind seen from both sides: the simulated driver's, and ours in {@link #device}. The guest has two
 * adjacent regions ({@link #BOUNDARY}) with a hole behind the second ({@link #HOLE}).
 */
final class TestRing implements AutoCloseable {
    static final long FIRST = 0x40000;
    static final long BOUNDARY = 0x140000;
    static final long HOLE = 0x340000;

    final GuestMemoryFile memory = GuestMemoryFile.ofGpas(FIRST, BOUNDARY - FIRST, BOUNDARY, HOLE - BOUNDARY);
    final HostMapping mapping = new HostMapping(memory);
    final RingLayout layout;
    final DriverQueue driver;
    final boolean writable;
    final RingFeatures features;
    /** Room for buffers of a test. */
    final long buffer = memory.allocate(65536, 4096);

    Virtqueue device;
    private final Deque<Integer> tokens = new ArrayDeque<>();

    private TestRing(final int size, final boolean writable, final RingFeatures features) {
        driver = DriverQueue.allocate(memory, size, features.mask);
        layout = driver.layout();
        this.writable = writable;
        this.features = features;
        restart();
    }

    static TestRing transmitq(final int size, final RingFeatures features) {
        return new TestRing(size, false, features);
    }

    static TestRing receiveq(final int size, final RingFeatures features) {
        return new TestRing(size, true, features);
    }

    /** A new device over the present ring, as the first start on a connection makes it: its base is the begin. */
    void restart() {
        device = Virtqueue.of(mapping.memory(), vringLayout());
    }

    VringLayout vringLayout() {
        return vringLayout(driver.firstBase(), false);
    }

    VringLayout vringLayout(final int base, final boolean baseIsOurs) {
        return new VringLayout(
                layout.size(),
                memory.uvaOf(layout.descGpa()),
                memory.uvaOf(layout.availGpa()),
                memory.uvaOf(layout.usedGpa()),
                writable,
                features.mask,
                base,
                baseIsOurs);
    }

    /** The driver of a split ring. */
    SplitDriver split() {
        return (SplitDriver) driver;
    }

    /** The driver of a packed ring. */
    PackedDriver packed() {
        return (PackedDriver) driver;
    }

    /** A split ring's bytes. */
    DriverRing ring() {
        return split().ring();
    }

    /** A packed ring's bytes. */
    PackedRing packedRing() {
        return packed().ring();
    }

    /** What a device answers to GET_VRING_BASE that has completed so many chains of so many descriptors together. */
    int baseAfter(final long chains, final long descriptors) {
        if (!features.packed()) {
            return (int) chains & 0xFFFF;
        }
        final int half = (int) (descriptors % layout.size()) | (descriptors / layout.size() % 2 == 0 ? 0x8000 : 0);
        return half << 16 | half;
    }

    /** Sets both free-running indices in memory of a split ring and lets the device resume there; for tests without the driver. */
    void setIndices(final int index) {
        memory.putLe16(layout.availGpa() + 2, index);
        memory.putLe16(layout.usedGpa() + 2, index);
        restart();
    }

    /** The driver adds and publishes a chain in this ring's direction. */
    int offer(final long... gpasAndLengths) {
        final int head = driver.add(buffers(gpasAndLengths));
        driver.publish();
        return head;
    }

    int offerIndirect(final long... gpasAndLengths) {
        final int head = driver.addIndirect(buffers(gpasAndLengths));
        driver.publish();
        return head;
    }

    List<Buffer> buffers(final long... gpasAndLengths) {
        final List<Buffer> buffers = new ArrayList<>();
        for (int i = 0; i < gpasAndLengths.length; i += 2) {
            buffers.add(new Buffer(gpasAndLengths[i], gpasAndLengths[i + 1], writable));
        }
        return buffers;
    }

    /** Loads the next chain; returns its fault or null. */
    RingFault load() {
        newChain();
        return append();
    }

    /** Adds one more chain, which must be there; returns its fault or null. */
    RingFault append() {
        final int token = device.append();
        if (token == Virtqueue.NONE) {
            throw new AssertionError("no chain is available, fault " + device.fault());
        }
        tokens.add(token >= 0 ? token : device.malformedToken());
        return token >= 0 ? null : device.appendFault();
    }

    /** Adds one more chain if there is one, which must be good. */
    boolean appendIfAvailable() {
        final int token = device.append();
        if (token == Virtqueue.NONE) {
            return false;
        }
        assertTrue(token >= 0, () -> "malformed: " + device.appendFault());
        tokens.add(token);
        return true;
    }

    /** Empties the list of buffers and goes back to the first chain. */
    BufferList newChain() {
        tokens.clear();
        return device.newChain();
    }

    /** Completes the oldest chain looked at. */
    void complete(final int bytesWritten) {
        device.complete(tokens.remove(), bytesWritten);
    }

    /** Takes and completes one chain, good or bad. */
    void completeNext(final int bytesWritten) {
        load();
        complete(bytesWritten);
    }

    /** The chain loaded last. */
    BufferList chain() {
        final BufferList chain = newChain();
        append();
        return chain;
    }

    /** Takes and completes all that is available, publishes, and returns how many chains that were. */
    int consume(final int bytesWritten) {
        int count = 0;
        while (device.available(1) != 0) {
            completeNext(bytesWritten);
            count++;
        }
        device.publish();
        return count;
    }

    /** All bytes of a chain. */
    static byte[] bytes(final BufferList chain) {
        final byte[] bytes = new byte[chain.bytes()];
        int done = 0;
        for (int piece = 0; piece < chain.pieces(); piece++) {
            for (int i = 0; i < chain.pieceLength(piece); i++) {
                bytes[done++] = (byte) RawMemory.u8(chain.pieceAddress(piece) + i);
            }
        }
        return bytes;
    }

    @Override
    public void close() {
        driver.close();
        memory.close();
    }
}

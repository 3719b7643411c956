package org.mypervisor.driversim;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * A guest's virtio-net driver for one queue pair: receiveq and transmitq, their buffers in guest memory, frames in and
 * out (virtio 1.2 §5.1.6). Made after the handshake, because features decide header size and ring rules. Owns its rings,
 * and front-end and memory only if {@link #launchLikeQemu} made them, until {@link #close()}. For one thread.
 *
 * <p>The rings are packed if the front-end negotiated that. Buffers are kept under the head of their chain: buffer h of
 * a ring belongs to the chain whose head is h.
 */
public final class NetDriver implements AutoCloseable {
    private final Frontend frontend;
    private final GuestMemoryFile memory;
    private final NetOptions options;
    private final int headerSize;
    private final boolean mergeable;
    private final DriverQueue receiveq;
    private final DriverQueue transmitq;
    private final long receiveGpa;
    private final long transmitGpa;
    private final List<AutoCloseable> owned = new ArrayList<>();

    /**
     * Lays rings and buffers out in fresh memory.
     *
     * @param frontend connected, features chosen
     */
    public NetDriver(final Frontend frontend, final GuestMemoryFile memory, final NetOptions options) {
        this.frontend = frontend;
        this.memory = memory;
        this.options = options;
        final long features = frontend.features();
        headerSize = Virtio.netHeaderSize(features);
        mergeable = Virtio.has(features, Virtio.VIRTIO_NET_F_MRG_RXBUF);
        final int size = options.queueSize();
        receiveq = DriverQueue.allocate(memory, size, features);
        transmitq = DriverQueue.allocate(memory, size, features);
        receiveGpa = memory.allocate((long) size * options.receiveBufferSize(), 4096);
        transmitGpa = memory.allocate((long) size * options.transmitBufferSize(), 4096);
    }

    /** A whole VM of one queue pair, running: QEMU dials {@code socket} and a guest driver starts. */
    public static NetDriver launchLikeQemu(final Path socket, final long wantedFeatures, final NetOptions options) {
        final Frontend frontend = Frontend.client(socket).want(wantedFeatures);
        final GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20);
        try {
            frontend.connectLikeQemu();
            final NetDriver driver = new NetDriver(frontend, memory, options);
            driver.owned.add(frontend);
            driver.owned.add(memory);
            driver.start();
            return driver;
        } catch (final RuntimeException | Error e) {
            frontend.close();
            memory.close();
            throw e;
        }
    }

    /** Posts receive buffers into every free descriptor and starts both rings the way QEMU does. */
    public void start() {
        postReceiveBuffers();
        frontend.startLikeQemu(memory, vrings());
    }

    /** Stops both rings as QEMU does; returns their bases. {@link #start()} goes on from there, as at cont. */
    public int[] stop() {
        return frontend.stop(vrings());
    }

    /** What a guest reboot does after {@link #stop()}: both rings empty and at index 0. */
    public void reset() {
        receiveq.reset();
        transmitq.reset();
    }

    /** Handshake and start on a new connection, after the back-end went away. */
    public void reconnect() {
        frontend.reconnectLikeQemu(memory, vrings());
    }

    /** receiveq, transmitq: this pair's rings in index order. */
    public DriverQueue[] vrings() {
        return new DriverQueue[] {receiveq, transmitq};
    }

    /** The rings of several pairs in index order, for the sequences of {@link Frontend}. */
    public static DriverQueue[] vringsOf(final NetDriver... pairs) {
        return Stream.of(pairs).flatMap(pair -> Stream.of(pair.vrings())).toArray(DriverQueue[]::new);
    }

    /** Sends a frame in one buffer behind a zero header. */
    public void transmit(final byte[] frame) {
        transmit(frame, Framing.ONE_BUFFER);
    }

    public void transmit(final byte[] frame, final Framing framing) {
        transmit(new byte[headerSize], frame, framing);
    }

    /** Makes a frame available and kicks if asked; first waits for the device if the ring is full. */
    public void transmit(final byte[] header, final byte[] frame, final Framing framing) {
        final int total = header.length + frame.length;
        if (total > options.transmitBufferSize()) {
            throw new IllegalArgumentException(total + " bytes exceed the transmit buffer: " + options);
        }
        makeRoom(framing.ringDescriptors(
                framing.cut(0, header.length, total, options.queueSize(), false).size()));
        transmitAt(transmitBufferGpa(transmitq.nextHead()), header, frame, framing);
    }

    /** As {@link #transmit}, from memory of the caller's choice, which may lie over adjacent regions. */
    public void transmitAt(final long gpa, final byte[] header, final byte[] frame, final Framing framing) {
        memory.write(gpa, header);
        memory.write(gpa + header.length, frame);
        final int total = header.length + frame.length;
        framing.add(transmitq, framing.cut(gpa, header.length, total, options.queueSize(), false));
        transmitq.publishAndKick();
    }

    /** Waits until the device has given back every transmitted chain. */
    public void awaitTransmitted() {
        while (transmitq.outstanding() > 0) {
            collectTransmitted(transmitq.awaitUsed(frontend.timeout()));
        }
    }

    /** The next frame, waiting for a call if there is none yet, as long as the front-end's timeout. */
    public byte[] receive() {
        return receiveFrame(frontend.timeout()).frame();
    }

    public byte[] receive(final Duration timeout) {
        return receiveFrame(timeout).frame();
    }

    /** The next frame with its header; its buffers are posted again. Checks what §5.1.6.4 demands of a device. */
    public ReceivedFrame receiveFrame(final Duration timeout) {
        return reassemble(receiveq.awaitUsed(timeout));
    }

    /** The next frame if one is there, else null. */
    public ReceivedFrame pollFrame() {
        final UsedElement used = receiveq.pollUsed();
        return used == null ? null : reassemble(used);
    }

    /** Fails the test if a frame arrives within {@code span}. */
    public void expectNoFrame(final Duration span) {
        final long deadline = System.nanoTime() + span.toNanos();
        do {
            final ReceivedFrame frame = pollFrame();
            if (frame != null) {
                throw new AssertionError("a frame of " + frame.frame().length + " bytes arrived");
            }
            VhostUserSocket.pause();
        } while (System.nanoTime() < deadline);
    }

    /** Posts receive buffers while descriptors are free, publishes, kicks if asked; returns how many. */
    public int postReceiveBuffers() {
        int posted = 0;
        while (postReceiveBuffer()) {
            posted++;
        }
        receiveq.publishAndKick();
        return posted;
    }

    public int headerSize() {
        return headerSize;
    }

    public boolean mergeable() {
        return mergeable;
    }

    public NetOptions options() {
        return options;
    }

    public Frontend frontend() {
        return frontend;
    }

    public GuestMemoryFile memory() {
        return memory;
    }

    public DriverQueue receiveq() {
        return receiveq;
    }

    public DriverQueue transmitq() {
        return transmitq;
    }

    /** {@link #receiveq} of a driver that did not negotiate packed rings, for tests that look into it. */
    public SplitDriver splitReceiveq() {
        return (SplitDriver) receiveq;
    }

    /** {@link #transmitq} of a driver that did not negotiate packed rings, for tests that look into it. */
    public SplitDriver splitTransmitq() {
        return (SplitDriver) transmitq;
    }

    /** Where the receive buffer of the chain with this head lies. */
    public long receiveBufferGpa(final int head) {
        return receiveGpa + (long) head * options.receiveBufferSize();
    }

    /** Where the transmit buffer of the chain with this head lies. */
    public long transmitBufferGpa(final int head) {
        return transmitGpa + (long) head * options.transmitBufferSize();
    }

    @Override
    public void close() {
        receiveq.close();
        transmitq.close();
        for (final AutoCloseable each : owned) {
            try {
                each.close();
            } catch (final Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }

    private void makeRoom(final int descriptors) {
        UsedElement used;
        while ((used = transmitq.pollUsed()) != null) {
            collectTransmitted(used);
        }
        while (transmitq.freeDescriptors() < descriptors) {
            collectTransmitted(transmitq.awaitUsed(frontend.timeout()));
        }
    }

    private static void collectTransmitted(final UsedElement used) {
        if (used.length() != 0) {
            throw new AssertionError("the device claims to have written into transmitq: " + used);
        }
    }

    private boolean postReceiveBuffer() {
        final Framing framing = options.receiveFraming();
        final int size = options.receiveBufferSize();
        if (receiveq.freeDescriptors() == 0) {
            return false;
        }
        final List<Buffer> buffers =
                framing.cut(receiveBufferGpa(receiveq.nextHead()), headerSize, size, options.queueSize(), true);
        if (receiveq.freeDescriptors() < framing.ringDescriptors(buffers.size())) {
            return false;
        }
        framing.add(receiveq, buffers);
        return true;
    }

    private ReceivedFrame reassemble(final UsedElement first) {
        final byte[] header = new byte[headerSize];
        requireLength(first, headerSize);
        memory.read(receiveBufferGpa(first.head()), header, 0, headerSize);
        final int buffers = ReceivedFrame.numBuffers(header, frontend.features());
        if (receiveq.usedWaiting() + 1 < buffers) {
            throw new AssertionError("the " + buffers + " buffers of a packet were not used in one step");
        }
        byte[] packet = memory.read(receiveBufferGpa(first.head()), (int) first.length());
        for (int i = 1; i < buffers; i++) {
            if (packet.length != i * options.receiveBufferSize()) {
                throw new AssertionError("buffer " + i + " of " + buffers + " was not filled: " + packet.length);
            }
            final UsedElement used = receiveq.pollUsed();
            requireLength(used, 1);
            final int start = packet.length;
            packet = Arrays.copyOf(packet, start + (int) used.length());
            memory.read(receiveBufferGpa(used.head()), packet, start, (int) used.length());
        }
        postReceiveBuffers();
        return new ReceivedFrame(header, Arrays.copyOfRange(packet, headerSize, packet.length), buffers);
    }

    private void requireLength(final UsedElement used, final int minimum) {
        if (used.length() < minimum || used.length() > options.receiveBufferSize()) {
            throw new AssertionError("used length " + used.length() + " of a receive buffer of "
                    + options.receiveBufferSize() + " bytes, at least " + minimum);
        }
    }
}

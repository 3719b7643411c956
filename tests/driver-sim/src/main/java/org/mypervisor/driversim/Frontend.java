package org.mypervisor.driversim;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A vhost-user front-end as QEMU 7.2 and DPDK virtio-user 22.11 behave: connection in either role, and the message
 * sequences captured from them. Single messages are those of {@link FrontendMessages}. Owns the connection, a socket
 * file it listens on, and the eventfds it makes itself, until {@link #close()}; memory and rings stay the caller's.
 * Vrings are always given in index order: receiveq 0, transmitq 0, receiveq 1, … For one thread.
 */
public final class Frontend extends FrontendMessages {
    /** QEMU accepts every protocol feature up to STATUS, by number, except CONFIG. */
    private static final long QEMU_PROTOCOL_FEATURES = 0x1_FFFFL & ~Virtio.mask(Virtio.PROTOCOL_F_CONFIG);

    private static final long VIRTIO_USER_PROTOCOL_FEATURES =
            Virtio.mask(Virtio.PROTOCOL_F_MQ, Virtio.PROTOCOL_F_REPLY_ACK, Virtio.PROTOCOL_F_STATUS);

    private static final int VIRTIO_USER_GARBAGE = 0x5A5A_1234;
    private static final int STATUS_DRIVER_FOUND_AND_FEATURES_OK = 0xb;
    private static final int STATUS_DRIVER_OK = 0xf;

    private final List<EventFd> maskedCalls = new ArrayList<>();
    private final List<EventFd> errs = new ArrayList<>();
    private long wanted = Virtio.LIKE_QEMU;
    private long wantedProtocol = QEMU_PROTOCOL_FEATURES;
    private long offered;
    private long features;
    private long protocolFeatures;
    private int pairs = 1;
    private int enabledPairs = 1;

    private Frontend(final Path path, final boolean server) {
        super(path, server);
    }

    /** A front-end that will dial a back-end listening on {@code path}; nothing is opened yet. */
    public static Frontend client(final Path path) {
        return new Frontend(path, false);
    }

    /** A front-end that listens on {@code path} from now on, for a back-end that dials. */
    public static Frontend server(final Path path) {
        return new Frontend(path, true);
    }

    /** Virtio features to accept if offered, as a mask; {@link Virtio#LIKE_QEMU} until set. */
    public Frontend want(final long mask) {
        wanted = mask;
        return this;
    }

    /** Protocol features to accept if offered, as a mask. */
    public Frontend wantProtocol(final long mask) {
        wantedProtocol = mask;
        return this;
    }

    /** What the back-end offered at the last handshake. */
    public long offered() {
        return offered;
    }

    /** What both sides want. */
    public long features() {
        return features;
    }

    public long protocolFeatures() {
        return protocolFeatures;
    }

    /** The eventfd a back-end signals when it gives ring {@code index} up; only QEMU's handshake sets it. */
    public EventFd err(final int index) {
        return errs.get(index);
    }

    /** QEMU's startup with one queue pair: {@link #connectLikeQemu(int)}. */
    public Frontend connectLikeQemu() {
        return connectLikeQemu(1);
    }

    /** QEMU's startup: connection, handshake of each pair, and the enables of the first machine reset. */
    public Frontend connectLikeQemu(final int queuePairs) {
        pairs = queuePairs;
        open();
        handshakeLikeQemu();
        setQueuePairs(1);
        return this;
    }

    /**
     * What QEMU sends when the guest driver sets DRIVER_OK, and at cont: features, memory table, and for each ring
     * size, base, addresses, kick (already signalled) and call. Kick and call eventfds of the rings are made anew.
     */
    public void startLikeQemu(final GuestMemoryFile memory, final DriverQueue... vrings) {
        for (int first = 0; first < vrings.length; first += 2) {
            if (first / 2 < enabledPairs) {
                enablePair(first / 2, true);
            }
            setFeatures(features);
            if (hasProtocol(Virtio.PROTOCOL_F_STATUS)) {
                setStatus((int) getStatus() | 8);
            }
            if (first == 0) {
                sendMemTable(memory);
            }
            startVring(memory, first, vrings[first], 1);
            startVring(memory, first + 1, vrings[first + 1], 1);
        }
        if (hasProtocol(Virtio.PROTOCOL_F_STATUS)) {
            setStatus((int) getStatus() | 7);
        }
    }

    /** The guest changes its number of queue pairs: enables the first {@code count} and disables the others. */
    public void setQueuePairs(final int count) {
        enabledPairs = count;
        for (int pair = 0; pair < pairs; pair++) {
            enablePair(pair, pair < count);
        }
    }

    /** Sends the memory table, with acknowledgement where negotiated; also right while rings run. */
    public void sendMemTable(final GuestMemoryFile memory) {
        ackIfNegotiated(() -> setMemTable(memory.table(), memory.tableFds()));
    }

    /** Stops the rings as QEMU does and keeps the returned index of each as its base; also returns them. */
    public int[] stop(final DriverQueue... vrings) {
        final int[] bases = new int[vrings.length];
        for (int index = 0; index < vrings.length; index++) {
            bases[index] = getVringBase(index);
            vrings[index].setBase(bases[index]);
        }
        return bases;
    }

    /**
     * QEMU after the back-end died or was restarted with the guest running: handshake, then at once the start with
     * used.idx as base (packed: what GET_VRING_BASE said last, however old). Fails if a feature in use is not
     * offered any more, as QEMU does.
     */
    public void reconnectLikeQemu(final GuestMemoryFile memory, final DriverQueue... vrings) {
        final long before = features;
        disconnect();
        open();
        handshakeLikeQemu();
        if ((before & ~features) != 0) {
            throw new AssertionError("vhost lacks features 0x" + Long.toHexString(before & ~features));
        }
        features = before;
        for (final DriverQueue vring : vrings) {
            vring.setBase(vring.baseAfterCrash());
        }
        startLikeQemu(memory, vrings);
    }

    /** First half of virtio-user's startup: up to the choice of features, which the rings must know. */
    public Frontend connectLikeVirtioUser(final int queuePairs) {
        pairs = queuePairs;
        open();
        setOwner();
        negotiate(wantedProtocol & VIRTIO_USER_PROTOCOL_FEATURES);
        return this;
    }

    /** Second half of virtio-user's startup: kicks not signalled in advance, gpa equal to uva, bases of 16 bits. */
    public void startLikeVirtioUser(final GuestMemoryFile memory, final DriverQueue... vrings) {
        for (int i = 0; i < vrings.length; i++) {
            final int index = i < vrings.length / 2 ? 2 * i : 2 * i - vrings.length + 1;
            vrings[index].notifiers().renew(0);
            setVringCall(index, vrings[index].notifiers().call().fd());
        }
        setFeatures(features);
        if (hasProtocol(Virtio.PROTOCOL_F_STATUS)) {
            ackIfNegotiated(() -> setStatus(STATUS_DRIVER_FOUND_AND_FEATURES_OK));
            getStatus();
            getStatus();
        }
        sendMemTable(memory);
        for (int index = 0; index < vrings.length; index++) {
            setVring(index, memory, vrings[index].layout(), vrings[index].firstBase() & 0xFFFF);
            setVringKick(index, vrings[index].notifiers().kick().fd());
        }
        enablePair(0, true);
        if (hasProtocol(Virtio.PROTOCOL_F_STATUS)) {
            ackIfNegotiated(() -> setStatus(STATUS_DRIVER_OK));
        }
        for (int pair = 1; pair < vrings.length / 2; pair++) {
            enablePair(pair, true);
        }
    }

    /** virtio-user's end: disables and stops every ring and closes. */
    public void stopLikeVirtioUser(final DriverQueue... vrings) {
        for (int pair = 0; pair < vrings.length / 2; pair++) {
            enablePair(pair, false);
        }
        for (int index = 0; index < vrings.length; index++) {
            vrings[index].setBase(getVringBase(index, VIRTIO_USER_GARBAGE));
        }
        disconnect();
    }

    /**
     * virtio-user as server when its back-end dials again: old rings are stopped on the new connection first. Packed
     * ones are emptied.
     */
    public void reconnectLikeVirtioUser(final GuestMemoryFile memory, final DriverQueue... vrings) {
        disconnect();
        open();
        for (int pair = 0; pair < vrings.length / 2; pair++) {
            enablePair(pair, false);
        }
        for (int index = 0; index < vrings.length; index++) {
            getVringBase(index, VIRTIO_USER_GARBAGE);
            if (vrings[index] instanceof PackedDriver packed) {
                packed.reset();
            }
        }
        negotiate(wantedProtocol & VIRTIO_USER_PROTOCOL_FEATURES);
        startLikeVirtioUser(memory, vrings);
    }

    @Override
    public void close() {
        super.close();
        closeEventFds();
    }

    private void handshakeLikeQemu() {
        closeEventFds();
        for (int pair = 0; pair < pairs; pair++) {
            negotiate(wantedProtocol);
            if (pair == 0 && hasProtocol(Virtio.PROTOCOL_F_MQ)) {
                requireQueueNum(pairs);
            }
            if (hasProtocol(Virtio.PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
                getMaxMemSlots();
            }
            if (pair == 0) {
                setOwner();
            }
            offered = getFeatures();
            for (int index = 2 * pair; index <= 2 * pair + 1; index++) {
                maskedCalls.add(EventFd.create(0));
                setVringCall(index, maskedCalls.get(index).fd());
                errs.add(EventFd.create(0));
                setVringErr(index, errs.get(index).fd());
            }
        }
    }

    private void negotiate(final long protocol) {
        offered = getFeatures();
        features = offered & wanted;
        protocolFeatures = 0;
        if (Virtio.has(features, Virtio.VHOST_USER_F_PROTOCOL_FEATURES)) {
            protocolFeatures = getProtocolFeatures() & protocol;
            setProtocolFeatures(protocolFeatures);
        }
    }

    private void startVring(
            final GuestMemoryFile memory, final int index, final DriverQueue vring, final int kickInitial) {
        vring.notifiers().renew(kickInitial);
        setVring(index, memory, vring.layout(), vring.base());
        setVringKick(index, vring.notifiers().kick().fd());
        setVringCall(index, vring.notifiers().call().fd());
    }

    private void enablePair(final int pair, final boolean enabled) {
        if (Virtio.has(features, Virtio.VHOST_USER_F_PROTOCOL_FEATURES)) {
            setVringEnable(2 * pair, enabled);
            setVringEnable(2 * pair + 1, enabled);
        }
    }

    private void ackIfNegotiated(final Runnable message) {
        if (hasProtocol(Virtio.PROTOCOL_F_REPLY_ACK)) {
            mustAck(message);
        } else {
            message.run();
        }
    }

    private boolean hasProtocol(final int bit) {
        return Virtio.has(protocolFeatures, bit);
    }

    private void closeEventFds() {
        maskedCalls.forEach(EventFd::close);
        maskedCalls.clear();
        errs.forEach(EventFd::close);
        errs.clear();
    }
}

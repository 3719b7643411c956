package org.mypervisor.vhostuser;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.SplitVirtqueue;
import org.mypervisor.virtqueue.VirtioFeatures;
import org.mypervisor.virtqueue.VringLayout;

/**
 * One connection with a front-end: receives its messages, keeps what they set up, and hands started rings to the data
 * plane. All state ends with the connection.
 *
 * <p>{@link #run} belongs to the port's thread; the {@code synchronized} methods may also be called by the thread that
 * watches over the ports.
 */
final class BackendSession {
    private static final Logger LOG = LogManager.getLogger(BackendSession.class);

    private static final int INDEX_MASK = 0xFF;
    private static final int NOFD = 0x100;
    private static final int MAC_SIZE = 6;
    private static final int MIN_MTU = 68;
    private static final int MAX_MTU = 65535;
    private static final long SUCCESS = 0;
    private static final long FAILURE = 1;

    private final String port;
    private final MessageSocket socket;
    private final FeatureNegotiation features;
    private final DataPlane dataPlane;
    private final VringState[] vrings;
    private MemoryTable memory;
    private boolean announcedUp;
    private boolean memoryGone;

    BackendSession(
            final String port, final MessageSocket socket, final DeviceOptions options, final DataPlane dataPlane) {
        this.port = port;
        this.socket = socket;
        this.features = new FeatureNegotiation(options);
        this.dataPlane = dataPlane;
        this.vrings = new VringState[2 * options.queuePairs()];
        for (int i = 0; i < vrings.length; i++) {
            vrings[i] = new VringState();
        }
    }

    /** Serves the connection until it ends, then takes everything down. */
    void run() throws IOException {
        try {
            while (serveNext()) {
                // Everything happens in the call.
            }
        } catch (final ProtocolException e) {
            LOG.warn("port {}: closing the connection: {}", port, e.getMessage());
        } catch (final InternalError e) {
            // The JVM may tell of a ring's page that is gone some messages after the ring's start.
            LOG.warn("port {}: closing the connection: the front-end cut its memory file short", port);
        } finally {
            tearDown();
        }
    }

    private boolean serveNext() throws IOException, ProtocolException {
        try (Message message = socket.receive()) {
            if (message != null) {
                obey(message);
            }
            return message != null;
        }
    }

    private synchronized void obey(final Message message) throws IOException, ProtocolException {
        final FrontendRequest request = FrontendRequest.of(message.number);
        try {
            if (request == null) {
                throw new ProtocolException("message %d is not known, or was not offered".formatted(message.number));
            }
            LOG.debug("port {}: {} size={} fds={}", port, request, message.payload.remaining(), message.fdCount());
            checkShape(request, message);
            handle(request, message);
            startReadyRings();
            announce();
        } catch (final ProtocolException e) {
            if (!message.needsReply() || (request != null && request.reply() == FrontendRequest.Reply.OWN)) {
                throw e;
            }
            LOG.warn("port {}: refused: {}", port, e.getMessage());
            socket.replyU64(message.number, FAILURE);
            return;
        }
        if (request.reply() == FrontendRequest.Reply.ACK && message.needsReply()) {
            socket.replyU64(message.number, SUCCESS);
        }
    }

    private static void checkShape(final FrontendRequest request, final Message message) throws ProtocolException {
        final int size = message.payload.remaining();
        if (request.payloadSize() != FrontendRequest.VARIABLE && size != request.payloadSize()) {
            throw new ProtocolException(request, "size=%d, must be %d".formatted(size, request.payloadSize()));
        }
        final int expected =
                switch (request.fds()) {
                    case NONE -> 0;
                    case UNLESS_NOFD -> (message.payload.getLong(0) & NOFD) == 0 ? 1 : 0;
                    case PER_REGION -> message.fdCount();
                };
        if (message.fdCount() != expected) {
            throw new ProtocolException(
                    request, "%d descriptors came along, must be %d".formatted(message.fdCount(), expected));
        }
    }

    private void handle(final FrontendRequest request, final Message message) throws IOException, ProtocolException {
        final ByteBuffer payload = message.payload;
        switch (request) {
            case GET_FEATURES -> socket.replyU64(message.number, features.offered());
            case SET_FEATURES -> setFeatures(payload.getLong(0));
            case SET_OWNER, RESET_OWNER -> {
                // A connection has one owner from the start; RESET_OWNER is deprecated and must not cost any state.
            }
            case GET_PROTOCOL_FEATURES -> socket.replyU64(message.number, features.offeredProtocol());
            case SET_PROTOCOL_FEATURES -> features.acceptProtocol(payload.getLong(0));
            case GET_QUEUE_NUM -> socket.replyU64(message.number, vrings.length / 2);
            case SET_MEM_TABLE -> setMemTable(message);
            case SET_VRING_NUM -> setVringNum(payload);
            case SET_VRING_ADDR -> setVringAddr(payload);
            case SET_VRING_BASE -> setVringBase(payload);
            case GET_VRING_BASE -> getVringBase(message);
            case SET_VRING_KICK -> setVringKick(message);
            case SET_VRING_CALL -> setVringCall(message);
            case SET_VRING_ERR -> setVringErr(message);
            case SET_VRING_ENABLE -> setVringEnable(payload);
            case SEND_RARP -> sendRarp(payload);
            case NET_SET_MTU -> setMtu(payload.getLong(0));
        }
    }

    private void setFeatures(final long accepted) throws ProtocolException {
        features.accept(accepted, anyStarted());
        if (!features.hasProtocolFeatures()) {
            for (int i = 0; i < vrings.length; i++) {
                enable(i, true);
            }
        }
    }

    private boolean anyStarted() {
        for (final VringState state : vrings) {
            if (state.vring != null) {
                return true;
            }
        }
        return false;
    }

    /** The old mappings may vanish after the acknowledgement, so every ring moves before it. */
    private void setMemTable(final Message message) throws ProtocolException {
        final MemoryTable table = MemoryTable.map(message, memory);
        if (table == memory) {
            return;
        }
        final MemoryTable old = memory;
        for (int i = 0; i < vrings.length; i++) {
            pause(i);
        }
        memory = table;
        memoryGone = false;
        if (old != null) {
            old.close();
        }
        if (table.regions() == 0) {
            LOG.warn(
                    "port {}: the front-end shares no memory; give the guest file-backed memory with share=on "
                            + "(-object memory-backend-memfd,id=mem,size=...,share=on -machine memory-backend=mem)",
                    port);
        }
    }

    private void setVringNum(final ByteBuffer payload) throws ProtocolException {
        final VringState state = stopped(FrontendRequest.SET_VRING_NUM, payload);
        final long size = payload.getInt(4) & 0xFFFF_FFFFL;
        if (!VringLayout.isValidSize(size)) {
            throw new ProtocolException(
                    FrontendRequest.SET_VRING_NUM,
                    "num=%d, must be a power of two up to %d".formatted(size, VringLayout.MAX_SIZE));
        }
        state.size = (int) size;
    }

    private void setVringAddr(final ByteBuffer payload) throws ProtocolException {
        final VringState state = state(FrontendRequest.SET_VRING_ADDR, payload.getInt(0) & 0xFFFF_FFFFL);
        final long desc = payload.getLong(8);
        final long used = payload.getLong(16);
        final long avail = payload.getLong(24);
        final boolean same =
                state.addressed && desc == state.descUva && used == state.usedUva && avail == state.availUva;
        if (state.vring != null && !same) {
            throw new ProtocolException(FrontendRequest.SET_VRING_ADDR, "the ring runs elsewhere; stop it first");
        }
        state.descUva = desc;
        state.usedUva = used;
        state.availUva = avail;
        state.addressed = true;
    }

    private void setVringBase(final ByteBuffer payload) throws ProtocolException {
        final VringState state = stopped(FrontendRequest.SET_VRING_BASE, payload);
        final long base = payload.getInt(4) & 0xFFFF_FFFFL;
        if (base > 0xFFFF) {
            throw new ProtocolException(FrontendRequest.SET_VRING_BASE, "num=%d, must be below 65536".formatted(base));
        }
        state.base = (int) base;
    }

    /** Stops the ring. May come for a ring that was never started. */
    private void getVringBase(final Message message) throws IOException, ProtocolException {
        final long index = message.payload.getInt(0) & 0xFFFF_FFFFL;
        final VringState state = state(FrontendRequest.GET_VRING_BASE, index);
        pause((int) index);
        state.forgetNotifications();
        socket.replyState(message.number, (int) index, state.base);
    }

    private void setVringKick(final Message message) throws ProtocolException {
        final VringState state = notified(FrontendRequest.SET_VRING_KICK, message);
        final EventFd kick = adoptFd(FrontendRequest.SET_VRING_KICK, message);
        final int index = (int) (message.payload.getLong(0) & INDEX_MASK);
        pause(index);
        if (state.kick != null) {
            state.kick.close();
        }
        state.kick = kick;
        state.kicked = true;
    }

    private void setVringCall(final Message message) throws ProtocolException {
        final VringState state = notified(FrontendRequest.SET_VRING_CALL, message);
        final EventFd call = adoptFd(FrontendRequest.SET_VRING_CALL, message);
        final EventFd old = state.call;
        state.call = call;
        if (state.vring != null) {
            dataPlane.setCall((int) (message.payload.getLong(0) & INDEX_MASK), call);
        }
        if (old != null) {
            old.close();
        }
    }

    private void setVringErr(final Message message) throws ProtocolException {
        final VringState state = notified(FrontendRequest.SET_VRING_ERR, message);
        final EventFd err = adoptFd(FrontendRequest.SET_VRING_ERR, message);
        if (state.err != null) {
            state.err.close();
        }
        state.err = err;
    }

    private void setVringEnable(final ByteBuffer payload) throws ProtocolException {
        final long index = payload.getInt(0) & 0xFFFF_FFFFL;
        state(FrontendRequest.SET_VRING_ENABLE, index);
        final long num = payload.getInt(4) & 0xFFFF_FFFFL;
        if (num > 1) {
            throw new ProtocolException(FrontendRequest.SET_VRING_ENABLE, "num=%d, must be 0 or 1".formatted(num));
        }
        enable((int) index, num == 1);
    }

    private void enable(final int index, final boolean enabled) {
        vrings[index].enabled = enabled;
        dataPlane.enable(index, enabled);
    }

    private void sendRarp(final ByteBuffer payload) {
        final byte[] mac = new byte[MAC_SIZE];
        payload.get(0, mac);
        dataPlane.announce(mac);
    }

    /** The driver learns its MTU from the front-end; all we have to say is whether it makes sense. */
    private static void setMtu(final long mtu) throws ProtocolException {
        if (mtu < MIN_MTU || mtu > MAX_MTU) {
            throw new ProtocolException(
                    FrontendRequest.NET_SET_MTU, "mtu=%d, must be %d..%d".formatted(mtu, MIN_MTU, MAX_MTU));
        }
    }

    /** The validator of every vring index: compares the whole unsigned value. */
    private VringState state(final FrontendRequest request, final long index) throws ProtocolException {
        if (index < 0 || index >= vrings.length) {
            throw new ProtocolException(
                    request, "index=%d, this port has %d vrings (option queues=)".formatted(index, vrings.length));
        }
        return vrings[(int) index];
    }

    private VringState stopped(final FrontendRequest request, final ByteBuffer payload) throws ProtocolException {
        final long index = payload.getInt(0) & 0xFFFF_FFFFL;
        final VringState state = state(request, index);
        if (state.vring != null) {
            throw new ProtocolException(request, "index=%d, the ring runs; stop it first".formatted(index));
        }
        return state;
    }

    private VringState notified(final FrontendRequest request, final Message message) throws ProtocolException {
        final long word = message.payload.getLong(0);
        if ((word & ~(long) (INDEX_MASK | NOFD)) != 0) {
            throw new ProtocolException(request, "payload=0x%x, only bits 0-8 have a meaning".formatted(word));
        }
        return state(request, word & INDEX_MASK);
    }

    private static EventFd adoptFd(final FrontendRequest request, final Message message) throws ProtocolException {
        if (message.fdCount() == 0) {
            return null;
        }
        final EventFd fd = EventFd.adopt(message.peekFd(0), request);
        message.takeFd();
        return fd;
    }

    /** Takes a ring from the worker; its indices, addresses and descriptors stay, so that it can start again. */
    private void pause(final int index) {
        final VringState state = vrings[index];
        if (state.vring != null) {
            dataPlane.stop(index);
            state.base = state.vring.queue().next();
            state.vring = null;
        }
    }

    /** Any message may have brought what a ring was waiting for. */
    private void startReadyRings() {
        if (memory == null) {
            return;
        }
        for (int index = 0; index < vrings.length; index++) {
            if (vrings[index].isReady()) {
                start(index, vrings[index]);
            }
        }
    }

    private void start(final int index, final VringState state) {
        if (breakIfMemoryGone()) {
            state.kicked = false;
            return;
        }
        final boolean receiveq = index % 2 == 0;
        final VringLayout layout = new VringLayout(
                state.size, state.descUva, state.availUva, state.usedUva, receiveq, features.accepted());
        try {
            final SplitVirtqueue queue = new SplitVirtqueue(memory.memory(), layout);
            if (queue.next() != state.base) {
                LOG.info("port {}: vring {}: base {}, resuming at used.idx {}", port, index, state.base, queue.next());
            }
            state.vring = new Vring(queue, state.kick, state.call);
            state.reported = null;
            dataPlane.start(index, state.vring);
        } catch (final IllegalArgumentException e) {
            state.kicked = false;
            LOG.warn("port {}: vring {} cannot start: {}", port, index, e.getMessage());
            signalErr(state);
        } catch (final InternalError e) {
            // The ring lies in a page that its file no longer has.
            state.kicked = false;
            breakIfMemoryGone();
        }
    }

    private void announce() {
        final boolean up = isUp();
        if (up && !announcedUp) {
            LOG.info(
                    "port {} is up: {} MiB in {} regions, ring size {}, features {}",
                    port,
                    memory.bytes() >> 20,
                    memory.regions(),
                    vrings[0].size,
                    VirtioFeatures.names(features.accepted()));
        } else if (!up && announcedUp) {
            LOG.info("port {} is down: the front-end stopped its rings", port);
        }
        announcedUp = up;
    }

    /** Pair 0 started and enabled. */
    synchronized boolean isUp() {
        return vrings[0].vring != null && vrings[0].enabled && vrings[1].vring != null && vrings[1].enabled;
    }

    /** A running ring was stopped for a fault, and its front-end has not set it up again. */
    synchronized boolean isBroken() {
        boolean broken = memoryGone;
        for (final VringState state : vrings) {
            broken |= state.vring != null && state.vring.queue().fault() != null;
        }
        return broken;
    }

    synchronized long acceptedFeatures() {
        return features.accepted();
    }

    /** Tells the front-end and the log, once, of rings that the worker found broken. */
    synchronized void reportFaults() {
        for (int index = 0; index < vrings.length; index++) {
            final VringState state = vrings[index];
            final RingFault fault =
                    state.vring == null ? null : state.vring.queue().fault();
            if (fault != null && fault != state.reported) {
                state.reported = fault;
                LOG.warn(
                        "port {}: vring {} is broken: {}; it stays stopped until its driver resets it",
                        port,
                        index,
                        fault.key());
                signalErr(state);
            }
        }
    }

    /** Breaks all rings when the memory below them was cut short; other ports are not concerned. */
    synchronized boolean breakIfMemoryGone() {
        if (memory == null || memory.isWhole()) {
            return false;
        }
        for (int index = 0; index < vrings.length; index++) {
            final VringState state = vrings[index];
            if (state.vring != null) {
                state.vring.queue().breakRing(RingFault.MEMORY_GONE);
                pause(index);
                state.kicked = false;
                signalErr(state);
            }
        }
        if (!memoryGone) {
            memoryGone = true;
            LOG.warn("port {}: the front-end cut its memory file short; the port is broken until it reconnects", port);
        }
        return true;
    }

    private static void signalErr(final VringState state) {
        if (state.err != null) {
            state.err.signal();
        }
    }

    private synchronized void tearDown() {
        for (int index = 0; index < vrings.length; index++) {
            pause(index);
            dataPlane.enable(index, false);
            vrings[index].close();
        }
        if (memory != null) {
            memory.close();
            memory = null;
        }
    }
}

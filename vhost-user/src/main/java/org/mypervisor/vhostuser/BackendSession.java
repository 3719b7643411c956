package org.mypervisor.vhostuser;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.VirtioFeatures;

/**
 * One connection with a front-end: receives its messages and has them obeyed. All state ends with the connection.
 *
 * <p>{@link #run} belongs to the port's thread; the methods that take the lock may also be called by the threads that
 * watch over the ports, which never wait for it long. Nothing that a front-end can make last is done under the lock.
 */
final class BackendSession {
    private static final Logger LOG = LogManager.getLogger(BackendSession.class);

    private static final int MAC_SIZE = 6;
    private static final int MIN_MTU = 68;
    private static final int MAX_MTU = 65535;
    private static final long SUCCESS = 0;
    private static final long FAILURE = 1;

    /** A message is obeyed in less, unless the machine is very busy. */
    private static final int LOCK_MILLIS = 100;

    private final String port;
    private final PortLog log;
    private final MessageSocket socket;
    private final FeatureNegotiation features;
    private final DataPlane dataPlane;
    private final Vrings vrings;
    /** Fair: a front-end that sends message after message does not keep the watching thread out. */
    private final ReentrantLock lock = new ReentrantLock(true);

    private volatile Endpoint.State lastState = Endpoint.State.DOWN;
    private MemoryTable memory;
    private boolean announcedUp;
    private boolean memoryGone;

    BackendSession(
            final String port,
            final PortLog log,
            final MessageSocket socket,
            final DeviceOptions options,
            final DataPlane dataPlane) {
        this.port = port;
        this.log = log;
        this.socket = socket;
        this.features = new FeatureNegotiation(options);
        this.dataPlane = dataPlane;
        this.vrings = new Vrings(port, log, dataPlane, 2 * options.queuePairs());
    }

    /**
     * Serves the connection until it ends, then takes everything down.
     *
     * @throws IllegalStateException when a worker did not let go of a ring: then its memory stays mapped
     */
    void run() throws IOException {
        try {
            while (serveNext()) {
                // Everything happens in the call.
            }
        } catch (final ProtocolException e) {
            log.warn("port {}: closing the connection: {}", port, e.getMessage());
        } catch (final InternalError e) {
            // The JVM may tell of a ring's page that is gone some messages after the ring's start.
            log.warn("port {}: closing the connection: the front-end cut its memory file short", port);
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

    private void obey(final Message message) throws IOException, ProtocolException {
        final FrontendRequest request = FrontendRequest.of(message.number);
        try {
            if (request == null) {
                throw new ProtocolException("message %d is not known, or was not offered".formatted(message.number));
            }
            LOG.debug("port {}: {} size={} fds={}", port, request, message.payload.remaining(), message.fdCount());
            request.checkShape(message);
            // A file system may make us wait for ever; nobody shall wait with us.
            final MemoryTable table =
                    request == FrontendRequest.SET_MEM_TABLE ? MemoryTable.map(message, memory) : null;
            lock.lock();
            try {
                handle(request, message, table);
                startReadyRings();
                announce();
            } finally {
                unlock();
            }
        } catch (final ProtocolException e) {
            if (!message.needsReply() || (request != null && request.reply() == FrontendRequest.Reply.OWN)) {
                throw e;
            }
            log.warn("port {}: refused: {}", port, e.getMessage());
            socket.replyU64(message.number, FAILURE);
            return;
        }
        if (request.reply() == FrontendRequest.Reply.ACK && message.needsReply()) {
            socket.replyU64(message.number, SUCCESS);
        }
    }

    private void unlock() {
        lastState = presentState();
        lock.unlock();
    }

    /** False, too, when a message is being obeyed that lasts long: then later, perhaps. */
    private boolean unlessBusy(final BooleanSupplier action) {
        try {
            if (!lock.tryLock(LOCK_MILLIS, TimeUnit.MILLISECONDS)) {
                return false;
            }
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
        try {
            return action.getAsBoolean();
        } finally {
            unlock();
        }
    }

    private void handle(final FrontendRequest request, final Message message, final MemoryTable table)
            throws IOException, ProtocolException {
        final ByteBuffer payload = message.payload;
        switch (request) {
            case GET_FEATURES -> socket.replyU64(message.number, features.offered());
            case SET_FEATURES -> setFeatures(payload.getLong(0));
            case SET_OWNER, RESET_OWNER -> {
                // A connection has one owner from the start; RESET_OWNER is deprecated and must not cost any state.
            }
            case GET_PROTOCOL_FEATURES -> socket.replyU64(message.number, features.offeredProtocol());
            case SET_PROTOCOL_FEATURES -> features.acceptProtocol(payload.getLong(0));
            case GET_QUEUE_NUM -> socket.replyU64(message.number, vrings.count() / 2);
            case SET_MEM_TABLE -> setMemTable(table);
            case SET_VRING_NUM -> vrings.setNum(payload, features.accepted());
            case SET_VRING_ADDR -> vrings.setAddr(payload);
            case SET_VRING_BASE -> vrings.setBase(payload, features.accepted());
            case GET_VRING_BASE -> {
                final int index = payload.getInt(0);
                socket.replyState(message.number, index, vrings.stop(index & 0xFFFF_FFFFL));
            }
            case SET_VRING_KICK -> vrings.setKick(message);
            case SET_VRING_CALL -> vrings.setCall(message);
            case SET_VRING_ERR -> vrings.setErr(message);
            case SET_VRING_ENABLE -> vrings.setEnable(payload);
            case SEND_RARP -> sendRarp(payload);
            case NET_SET_MTU -> setMtu(payload.getLong(0));
        }
    }

    private void setFeatures(final long accepted) throws ProtocolException {
        features.accept(accepted, vrings.anyStarted());
        if (!features.hasProtocolFeatures()) {
            vrings.enableAll();
        }
    }

    /**
     * The front-end goes on after the acknowledgement and may take the old memory away, so every ring moves before it; the
     * frames that come for them meanwhile wait.
     */
    private void setMemTable(final MemoryTable table) {
        if (table == memory) {
            return;
        }
        final MemoryTable old = memory;
        try {
            dataPlane.hold();
            vrings.pauseAll();
        } catch (final RuntimeException | Error e) {
            // A worker did not let go of the old memory; it knows nothing of the new one.
            table.close();
            throw e;
        }
        memory = table;
        memoryGone = false;
        try {
            startReadyRings();
            dataPlane.release();
        } finally {
            if (old != null) {
                // After all else: to unmap a guest takes its time.
                old.close();
            }
        }
        if (table.regions() == 0) {
            log.warn(
                    "port {}: the front-end shares no memory; give the guest file-backed memory with share=on "
                            + "(-object memory-backend-memfd,id=mem,size=...,share=on -machine memory-backend=mem)",
                    port);
        }
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

    private void startReadyRings() {
        if (memory == null || memoryGone || breakMemoryIfCutShort()) {
            return;
        }
        try {
            vrings.startReady(memory.memory(), features.accepted());
        } catch (final InternalError e) {
            // The ring lies in a page that its file no longer has.
            if (!breakMemoryIfCutShort()) {
                giveUpMemory("has a page that cannot be had");
            }
        }
    }

    private void announce() {
        final boolean up = vrings.isUp();
        if (up && !announcedUp) {
            log.info(
                    "port {} is up: {} MiB in {} regions, ring size {}, features {}",
                    port,
                    memory.bytes() >> 20,
                    memory.regions(),
                    vrings.size(),
                    VirtioFeatures.names(features.accepted()));
            log.hint(features.hint());
        } else if (!up && announcedUp) {
            log.info("port {} is down: the front-end stopped its rings", port);
        }
        announcedUp = up;
    }

    /** During a message that lasts long, the state before it. */
    Endpoint.State state() {
        unlessBusy(() -> true);
        return lastState;
    }

    private Endpoint.State presentState() {
        if (memoryGone || vrings.isAnyBroken()) {
            return Endpoint.State.BROKEN;
        }
        return vrings.isUp() ? Endpoint.State.UP : Endpoint.State.DOWN;
    }

    /** Whether the front-end tried to block a worker; to be asked when {@link #run} has ended. */
    boolean isCallBlocked() {
        return vrings.isCallBlocked();
    }

    long acceptedFeatures() {
        return features.accepted();
    }

    void watch() {
        unlessBusy(() -> {
            vrings.reportFaults();
            return breakMemoryIfCutShort();
        });
    }

    /**
     * Breaks the port if a memory file is shorter than what was mapped of it.
     *
     * @return true when it was found and broken now
     */
    boolean breakIfCutShort() {
        return unlessBusy(this::breakMemoryIfCutShort);
    }

    private boolean breakMemoryIfCutShort() {
        if (memory == null || memoryGone || memory.isWhole()) {
            return false;
        }
        giveUpMemory("was cut short");
        return true;
    }

    /** Gives all rings up because of their memory; other ports are not concerned. */
    void breakMemory(final String why) {
        unlessBusy(() -> {
            giveUpMemory(why);
            return true;
        });
    }

    private void giveUpMemory(final String why) {
        if (memory == null || memoryGone) {
            return;
        }
        memoryGone = true;
        vrings.giveUp(RingFault.MEMORY_GONE);
        log.warn("port {}: the front-end's memory file {}; the port is broken until it reconnects", port, why);
    }

    /** If a worker did not let go, an exception leaves the memory mapped: better a leak than a crash of all ports. */
    private void tearDown() {
        lock.lock();
        try {
            vrings.close();
            if (memory != null) {
                memory.close();
                memory = null;
            }
        } finally {
            unlock();
        }
    }
}

package org.mypervisor.vhostuser;

import java.nio.ByteBuffer;
import org.mypervisor.virtqueue.GuestMemory;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.VirtioFeatures;
import org.mypervisor.virtqueue.Virtqueue;
import org.mypervisor.virtqueue.VringLayout;

/**
 * The rings of one connection: obeys the messages about them, starts each one when all it needs has come, and stops
 * them; vhost-user specification, section "Ring states". Owned by the session, which locks.
 */
final class Vrings {
    private static final int INDEX_MASK = 0xFF;

    /** In the payload of kick, call and err messages: no descriptor comes along. */
    static final int NOFD = 0x100;

    private final String port;
    private final PortLog log;
    private final DataPlane dataPlane;
    private final VringState[] states;
    /** A ring that is gone by now was broken by its call eventfd. */
    private boolean callWasBlocked;

    Vrings(final String port, final PortLog log, final DataPlane dataPlane, final int count) {
        this.port = port;
        this.log = log;
        this.dataPlane = dataPlane;
        this.states = new VringState[count];
        for (int i = 0; i < count; i++) {
            states[i] = new VringState();
        }
    }

    int count() {
        return states.length;
    }

    /** @param features accepted so far */
    void setNum(final ByteBuffer payload, final long features) throws ProtocolException {
        final VringState state = stopped(FrontendRequest.SET_VRING_NUM, payload);
        final long size = u32(payload, 4);
        final boolean packed = VirtioFeatures.has(features, VirtioFeatures.VIRTIO_F_RING_PACKED);
        if (!VringLayout.isValidSize(size, packed)) {
            throw new ProtocolException(
                    FrontendRequest.SET_VRING_NUM,
                    "num=%d, must be %s %d"
                            .formatted(size, packed ? "1 to" : "a power of two up to", VringLayout.MAX_SIZE));
        }
        state.size = (int) size;
        state.startFailed = false;
    }

    void setAddr(final ByteBuffer payload) throws ProtocolException {
        final VringState state = state(FrontendRequest.SET_VRING_ADDR, u32(payload, 0));
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
        state.startFailed = false;
    }

    /** @param features accepted so far */
    void setBase(final ByteBuffer payload, final long features) throws ProtocolException {
        final VringState state = stopped(FrontendRequest.SET_VRING_BASE, payload);
        final long base = u32(payload, 4);
        final boolean packed = VirtioFeatures.has(features, VirtioFeatures.VIRTIO_F_RING_PACKED);
        if (base > 0xFFFF && !packed) {
            throw new ProtocolException(FrontendRequest.SET_VRING_BASE, "num=%d, must be below 65536".formatted(base));
        }
        // DPDK's virtio-user leaves the used half of a packed base out.
        state.base = (int) (packed && base <= 0xFFFF ? base << 16 | base : base);
    }

    /**
     * GET_VRING_BASE: stops a ring, which need not have been started.
     *
     * @return the index at which it goes on
     */
    int stop(final long index) throws ProtocolException {
        final VringState state = state(FrontendRequest.GET_VRING_BASE, index);
        pause((int) index);
        state.forgetNotifications();
        return state.base;
    }

    void setKick(final Message message) throws ProtocolException {
        final int index = indexOf(FrontendRequest.SET_VRING_KICK, message);
        final EventFd kick = EventFd.from(FrontendRequest.SET_VRING_KICK, message);
        pause(index);
        states[index].replaceKick(kick);
    }

    void setCall(final Message message) throws ProtocolException {
        final int index = indexOf(FrontendRequest.SET_VRING_CALL, message);
        final VringState state = states[index];
        final EventFd call = EventFd.from(FrontendRequest.SET_VRING_CALL, message);
        final EventFd old = state.call;
        state.call = call;
        if (state.vring != null) {
            dataPlane.setCall(index, call);
        }
        VringState.close(old);
    }

    void setErr(final Message message) throws ProtocolException {
        final VringState state = states[indexOf(FrontendRequest.SET_VRING_ERR, message)];
        final EventFd old = state.err;
        state.err = EventFd.from(FrontendRequest.SET_VRING_ERR, message);
        VringState.close(old);
    }

    void setEnable(final ByteBuffer payload) throws ProtocolException {
        final long index = u32(payload, 0);
        state(FrontendRequest.SET_VRING_ENABLE, index);
        final long num = u32(payload, 4);
        if (num > 1) {
            throw new ProtocolException(FrontendRequest.SET_VRING_ENABLE, "num=%d, must be 0 or 1".formatted(num));
        }
        enable((int) index, num == 1);
    }

    void enableAll() {
        for (int index = 0; index < states.length; index++) {
            enable(index, true);
        }
    }

    private void enable(final int index, final boolean enabled) {
        states[index].enabled = enabled;
        dataPlane.enable(index, enabled);
    }

    /** The validator of every vring index: compares the whole unsigned value. */
    private VringState state(final FrontendRequest request, final long index) throws ProtocolException {
        if (index < 0 || index >= states.length) {
            throw new ProtocolException(
                    request, "index=%d, this port has %d vrings (option queues=)".formatted(index, states.length));
        }
        return states[(int) index];
    }

    private VringState stopped(final FrontendRequest request, final ByteBuffer payload) throws ProtocolException {
        final long index = u32(payload, 0);
        final VringState state = state(request, index);
        if (state.vring != null) {
            throw new ProtocolException(request, "index=%d, the ring runs; stop it first".formatted(index));
        }
        return state;
    }

    private int indexOf(final FrontendRequest request, final Message message) throws ProtocolException {
        final long word = message.payload.getLong(0);
        if ((word & ~(long) (INDEX_MASK | NOFD)) != 0) {
            throw new ProtocolException(request, "payload=0x%x, only bits 0-8 have a meaning".formatted(word));
        }
        state(request, word & INDEX_MASK);
        return (int) (word & INDEX_MASK);
    }

    private static long u32(final ByteBuffer payload, final int offset) {
        return payload.getInt(offset) & 0xFFFF_FFFFL;
    }

    /** Any message may have brought what a ring was waiting for. */
    void startReady(final GuestMemory memory, final long features) {
        if (isCallBlocked()) {
            // Nothing but malice fills a counter: this connection does not get another chance.
            return;
        }
        for (int index = 0; index < states.length; index++) {
            if (states[index].isReady()) {
                start(index, memory, features);
            }
        }
    }

    private void start(final int index, final GuestMemory memory, final long features) {
        final VringState state = states[index];
        final boolean receiveq = index % 2 == 0;
        final VringLayout layout = new VringLayout(
                state.size,
                state.descUva,
                state.availUva,
                state.usedUva,
                receiveq,
                features,
                state.base,
                state.startedBefore);
        try {
            final Virtqueue queue = Virtqueue.of(memory, layout);
            if (queue.base() != state.base) {
                log.info(
                        "port {}: vring {}: base 0x{}, going on at 0x{} as the ring says",
                        port,
                        index,
                        Integer.toHexString(state.base),
                        Integer.toHexString(queue.base()));
            }
            state.startedBefore = true;
            state.vring = new Vring(queue, state.kick, state.call);
            state.reported = null;
            dataPlane.start(index, state.vring);
        } catch (final IllegalArgumentException e) {
            state.startFailed = true;
            log.warn("port {}: vring {} cannot start: {}", port, index, e.getMessage());
            signalErr(state);
        }
    }

    /** Takes a ring from the worker; its indices, addresses and descriptors stay, so that it can start again. */
    private void pause(final int index) {
        final VringState state = states[index];
        if (state.vring != null) {
            dataPlane.stop(index);
            report(index);
            callWasBlocked |= state.vring.queue().fault() == RingFault.CALL_BLOCKED;
            state.base = state.vring.queue().base();
            state.vring = null;
        }
        state.startFailed = false;
    }

    /** Takes all rings from the worker, before memory is exchanged; {@link #startReady} brings them back. */
    void pauseAll() {
        for (int index = 0; index < states.length; index++) {
            pause(index);
        }
    }

    /** Gives all running rings up until the front-end starts them anew. */
    void giveUp(final RingFault why) {
        for (int index = 0; index < states.length; index++) {
            final VringState state = states[index];
            if (state.vring != null) {
                state.vring.queue().breakRing(why);
                state.reported = why;
                dataPlane.countFault(why);
                pause(index);
                signalErr(state);
            }
            state.kicked = false;
        }
    }

    boolean anyStarted() {
        for (final VringState state : states) {
            if (state.vring != null) {
                return true;
            }
        }
        return false;
    }

    /** Pair 0 started and enabled. */
    boolean isUp() {
        return states[0].vring != null && states[0].enabled && states[1].vring != null && states[1].enabled;
    }

    /** Entries of the first ring, for people. */
    int size() {
        return states[0].size;
    }

    /** A ring was stopped for a fault, and its front-end has not set it up again. */
    boolean isAnyBroken() {
        if (callWasBlocked) {
            return true;
        }
        for (final VringState state : states) {
            if (state.vring != null && state.vring.queue().fault() != null) {
                return true;
            }
        }
        return false;
    }

    /** Whether the front-end filled a call eventfd since it connected. */
    boolean isCallBlocked() {
        boolean blocked = callWasBlocked;
        for (final VringState state : states) {
            blocked |= state.vring != null && state.vring.queue().fault() == RingFault.CALL_BLOCKED;
        }
        return blocked;
    }

    /** Counts, and tells the front-end and the log, once, of rings that the worker found broken. */
    void reportFaults() {
        for (int index = 0; index < states.length; index++) {
            if (states[index].vring != null) {
                report(index);
            }
        }
    }

    private void report(final int index) {
        final VringState state = states[index];
        final RingFault fault = state.vring.queue().fault();
        if (fault != null && fault != state.reported) {
            state.reported = fault;
            dataPlane.countFault(fault);
            log.warn(
                    "port {}: vring {} is broken: {}; it stays stopped until {}",
                    port,
                    index,
                    fault.key(),
                    fault == RingFault.CALL_BLOCKED ? "the front-end reconnects" : "its driver resets it");
            signalErr(state);
        }
    }

    private static void signalErr(final VringState state) {
        if (state.err != null) {
            state.err.signalIfFree();
        }
    }

    /** Stops all rings and closes all descriptors. */
    void close() {
        for (int index = 0; index < states.length; index++) {
            pause(index);
            dataPlane.enable(index, false);
            states[index].close();
        }
    }
}

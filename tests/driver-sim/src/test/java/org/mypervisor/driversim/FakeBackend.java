package org.mypervisor.driversim;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import jnr.unixsocket.UnixServerSocketChannel;
import jnr.unixsocket.UnixSocketAddress;

/**
 * The simplest back-end that can be: every frame of transmitq i comes back on receiveq i. It moves nothing unless it is
 * kicked (or a ring was just started), calls only when a call is due, and records the messages it gets. One thread.
 */
final class FakeBackend implements AutoCloseable {
    static final long OFFERED = Virtio.mask(15, 22, 28, 29, 30, 32, 34, 35);
    static final long PROTOCOL = Virtio.mask(0, 3);

    final List<String> log = Collections.synchronizedList(new ArrayList<>());
    volatile Throwable failure;
    private final Path path;
    private final boolean dials;
    private final long offered;
    private final long protocol;
    private final Thread thread = new Thread(this::run, "fake-back-end");
    private final Map<Integer, FakeRing> rings = new TreeMap<>();
    private final List<byte[]> backlog = new ArrayList<>();
    private final UnixServerSocketChannel listening;
    private GuestMemory memory = new GuestMemory();
    private VhostUserSocket socket;
    private volatile boolean stopping;
    private volatile boolean hangUp;
    private volatile boolean connected;
    private long features;
    private int status;

    FakeBackend(final Path path, final boolean dials, final long offered, final long protocol) throws IOException {
        this.path = path;
        this.dials = dials;
        this.offered = offered;
        this.protocol = protocol;
        if (dials) {
            listening = null;
        } else {
            listening = UnixServerSocketChannel.open();
            listening.socket().bind(new UnixSocketAddress(path.toFile()));
        }
        thread.start();
    }

    static FakeBackend listening(final Path path) throws IOException {
        return new FakeBackend(path, false, OFFERED, PROTOCOL);
    }

    /** Drops the connection as a dying back-end does, and takes the next one. */
    void hangUp() {
        hangUp = true;
        awaitIdle();
        hangUp = false;
    }

    /** Waits until everything of the last connection is closed and unmapped. */
    void awaitIdle() {
        final long deadline = System.nanoTime() + 5_000_000_000L;
        while (connected && System.nanoTime() < deadline) {
            VhostUserSocket.pause();
        }
    }

    @Override
    public void close() throws IOException {
        stopping = true;
        try {
            thread.join();
        } catch (final InterruptedException e) {
            throw new AssertionError(e);
        }
        if (listening != null) {
            listening.close();
            Files.deleteIfExists(path);
        }
        if (failure != null) {
            throw new AssertionError("the back-end failed", failure);
        }
    }

    private void run() {
        try {
            while (!stopping) {
                if (accept()) {
                    connected = true;
                    serve();
                    forget();
                    connected = false;
                }
            }
        } catch (final IOException | RuntimeException | Error e) {
            failure = e;
            forget();
        }
    }

    private boolean accept() throws IOException {
        if (dials) {
            try {
                socket = VhostUserSocket.connect(path, Duration.ofMillis(100));
            } catch (final AssertionError e) {
                return false;
            }
            return true;
        }
        if (!Libc.poll(listening.getFD(), Libc.POLLIN, Duration.ofMillis(10))) {
            return false;
        }
        socket = new VhostUserSocket(listening.accept(), Duration.ofSeconds(5));
        return true;
    }

    private void serve() {
        while (!stopping && !hangUp) {
            if (Libc.poll(socket.fd(), Libc.POLLIN, Duration.ofMillis(1))) {
                final Message message = socket.receiveOrNull("a request");
                if (message == null) {
                    return;
                }
                handle(message);
            }
            rings.forEach((index, ring) -> ring.turn(index, backlog));
        }
    }

    private void forget() {
        rings.values().forEach(FakeRing::close);
        rings.clear();
        backlog.clear();
        memory.close();
        memory = new GuestMemory();
        if (socket != null) {
            socket.close();
            socket = null;
        }
    }

    private void handle(final Message message) {
        final Request request = Request.values()[message.request() - 1];
        final ByteBuffer payload = message.payloadBuffer();
        final boolean needReply = (message.flags() & Message.NEED_REPLY) != 0;
        log.add(request + (needReply ? "!" : "") + detail(request, payload));
        switch (request) {
            case GET_FEATURES -> reply(request, offered);
            case GET_PROTOCOL_FEATURES -> reply(request, protocol);
            case GET_QUEUE_NUM -> reply(request, 4);
            case GET_STATUS -> reply(request, status);
            case GET_VRING_BASE -> stop(payload.getInt());
            case SET_FEATURES -> features = payload.getLong();
            case SET_STATUS -> status = (int) payload.getLong();
            case SET_MEM_TABLE -> setMemTable(payload, message.fds());
            case SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ADDR, SET_VRING_ENABLE -> setState(request, payload);
            case SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR ->
                setFd(request, (int) payload.getLong(), EventFd.adopt(message.fds()[0]));
            case SET_OWNER, SET_PROTOCOL_FEATURES -> {}
            default -> throw new AssertionError(message.toString());
        }
        if (needReply) {
            reply(request, request == Request.SET_STATUS && status == 99 ? 1 : 0);
        }
    }

    private static String detail(final Request request, final ByteBuffer payload) {
        return switch (request) {
            case SET_VRING_ENABLE -> " " + payload.getInt(0) + "=" + payload.getInt(4);
            case SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, GET_VRING_BASE, SET_VRING_ADDR ->
                " " + payload.getInt(0);
            case SET_VRING_NUM, SET_VRING_BASE -> " " + payload.getInt(0) + "=" + payload.getInt(4);
            default -> "";
        };
    }

    private void reply(final Request request, final long value) {
        socket.send(Message.encode(request.number(), 5, Message.u64(value)));
    }

    private FakeRing ring(final int index) {
        return rings.computeIfAbsent(index, unused -> new FakeRing());
    }

    private void setMemTable(final ByteBuffer payload, final int[] fds) {
        memory.close();
        memory = new GuestMemory();
        for (int i = 0; i < fds.length; i++) {
            final int at = 8 + 32 * i;
            memory.map(
                    new Region(
                            payload.getLong(at),
                            payload.getLong(at + 8),
                            payload.getLong(at + 16),
                            payload.getLong(at + 24)),
                    fds[i]);
            Libc.close(fds[i]);
        }
    }

    private void setState(final Request request, final ByteBuffer payload) {
        final FakeRing ring = ring(payload.getInt(0));
        switch (request) {
            case SET_VRING_NUM -> ring.size = payload.getInt(4);
            case SET_VRING_BASE -> ring.base = payload.getInt(4);
            case SET_VRING_ENABLE -> ring.enabled = payload.getInt(4) != 0;
            default -> {
                for (int i = 0; i < 3; i++) {
                    ring.descUsedAvailUva[i] = payload.getLong(8 + 8 * i);
                }
            }
        }
    }

    private void setFd(final Request request, final int index, final EventFd received) {
        final FakeRing ring = ring(index);
        switch (request) {
            case SET_VRING_KICK -> ring.start(memory, features, received);
            case SET_VRING_CALL -> ring.setCall(received);
            default -> ring.setErr(received);
        }
    }

    private void stop(final int index) {
        final FakeRing ring = ring(index);
        final int base = ring.stop();
        socket.send(Message.encode(Request.GET_VRING_BASE.number(), 5, Message.state(index, base)));
    }
}

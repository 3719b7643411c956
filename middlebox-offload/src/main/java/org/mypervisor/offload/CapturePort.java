package org.mypervisor.offload;

import java.io.IOException;
import java.nio.file.Path;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.offload.capture.Capture;
import org.mypervisor.offload.capture.CaptureWriter;
import org.mypervisor.offload.capture.NullQueue;
import org.mypervisor.offload.capture.ReplayQueue;
import org.mypervisor.offload.config.PortSpec;
import org.mypervisor.vhostuser.Endpoint;

/**
 * A port whose other side are capture files: what is replayed from one, what is written to another. A replay waits until its
 * path's destination is up. Frames sent to a port that writes nothing are dropped as {@code down}.
 */
final class CapturePort implements Attachment {
    private static final Logger LOG = LogManager.getLogger(CapturePort.class);

    /** For a receiver that takes frames as fast as it can; behind one that takes none at all, a replay ends nevertheless. */
    private static final long PATIENCE_NANOS = PortSpec.MAX_WAIT_MILLIS * 1_000_000L;

    private final Port port;
    private final PortSpec.Pcap spec;
    private final Capture capture;
    private final ReplayQueue replay;
    /** In the place of a replay where there is none. */
    private final NullQueue silence;

    private final CaptureWriter writer;
    private Attachment destination;
    private boolean released;
    /** By the thread that watches, and in the end by the one that closes. */
    private volatile boolean stoppedWriting;

    private boolean saidDone;
    private boolean running;
    private volatile boolean up;

    /** @throws IOException when a file cannot be had; the message says why and what to do */
    CapturePort(final Port port, final PortSpec.Pcap spec) throws IOException {
        this.port = port;
        this.spec = spec;
        if (spec.pace().isMax()) {
            port.setPatience(PATIENCE_NANOS);
        }
        this.capture =
                spec.read().isPresent() ? Capture.load(Path.of(spec.read().get())) : null;
        try {
            this.silence = capture == null ? new NullQueue(0) : null;
            this.replay = capture == null ? null : new ReplayQueue(capture, spec.pace(), spec.loops());
            this.writer = spec.write().isPresent()
                    ? new CaptureWriter(Path.of(spec.write().get()), spec.limits(), "port-" + port.id())
                    : null;
        } catch (final IOException e) {
            if (capture != null) {
                capture.close();
            }
            throw e;
        }
    }

    /** The replay begins when this is up. Before {@link #start}. */
    void startWith(final Attachment newDestination) {
        destination = newDestination;
    }

    @Override
    public Port port() {
        return port;
    }

    @Override
    public void start() {
        if (replay != null) {
            LOG.info(
                    "port {}: {} frames of {}, {}",
                    port.id(),
                    capture.frames(),
                    spec.read().get(),
                    spec.pace().text());
        }
        if (writer != null) {
            writer.start();
            port.start(0, writer.queue());
            port.enable(0, true);
        }
        port.start(1, replay == null ? silence : replay);
        port.enable(1, true);
        running = true;
        up = true;
    }

    @Override
    public void watch() {
        if (replay != null && !released && (destination == null || destination.state() == Endpoint.State.UP)) {
            released = true;
            port.worker().execute(replay::release);
        }
        if (writer != null && !stoppedWriting && (writer.failure() != null || writer.isFull())) {
            stoppedWriting = true;
            port.enable(0, false);
            if (writer.failure() != null) {
                LOG.error("port {}: {}; the port takes no more frames", port.id(), writer.failure());
            } else {
                LOG.info(
                        "port {}: {} has all that it may have",
                        port.id(),
                        spec.write().get());
            }
        }
        if (replay != null && replay.isDone() && !saidDone) {
            saidDone = true;
            LOG.info("port {}: {} has been replayed", port.id(), spec.read().get());
        }
    }

    @Override
    public Endpoint.State state() {
        if (failure() != null) {
            return Endpoint.State.BROKEN;
        }
        return up ? Endpoint.State.UP : Endpoint.State.DOWN;
    }

    @Override
    public long features() {
        return 0;
    }

    /** Whether it has a capture that is not replayed for ever. */
    boolean replaysToAnEnd() {
        return replay != null && spec.loops() != Long.MAX_VALUE;
    }

    /** Whether it writes a file that has enough some time. */
    boolean fillsUp() {
        return writer != null && spec.limits().exist();
    }

    @Override
    public boolean isDone() {
        return failure() == null && (replaysToAnEnd() ? replay.isDone() : fillsUp() && writer.isFull());
    }

    /** Why its file is not written any more, or null. Any thread. */
    String failure() {
        return writer == null ? null : writer.failure();
    }

    @Override
    public long missed() {
        return writer == null ? 0 : writer.lost();
    }

    @Override
    public void close() throws IOException {
        up = false;
        if (running) {
            port.stop(0);
            port.stop(1);
        }
        if (replay == null) {
            silence.free();
        } else {
            replay.free();
            capture.close();
        }
        if (writer != null) {
            writer.close();
            if (writer.failure() != null && !stoppedWriting) {
                LOG.error("port {}: {}; {} frames are missed", port.id(), writer.failure(), writer.lost());
            }
        }
    }
}

package org.mypervisor.offload;

import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.offload.config.ExpandedPath;
import org.mypervisor.offload.config.PortSpec;
import org.mypervisor.offload.config.Topology;
import org.mypervisor.offload.control.RulesReport;
import org.mypervisor.offload.control.StatsReport;
import org.mypervisor.offload.host.PacketInterface;
import org.mypervisor.offload.host.TapInterface;
import org.mypervisor.offload.host.XdpInterface;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.vhostuser.Endpoint;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.vhostuser.PageProbe;

/**
 * A running back-end: ports with their sockets, wires on their workers, and the thread that watches over them.
 *
 * <p>Made, started and closed by one control thread.
 */
public final class Backend implements AutoCloseable {
    private static final Logger LOG = LogManager.getLogger(Backend.class);

    private static final long WATCH_NANOS = 100_000_000;

    /** Calls are looked at after a time that a front-end cannot foresee. */
    private static final long CALL_WATCH_MIN_NANOS = 10_000_000;

    private static final long CALL_WATCH_MAX_NANOS = 30_000_000;

    private static final double NANOS_PER_SECOND = 1e9;

    private final Topology topology;
    private final List<Port> ports = new ArrayList<>();
    private final List<Path> paths = new ArrayList<>();
    private final List<Attachment> attachments = new ArrayList<>();
    private final List<Worker> workers = new ArrayList<>();
    private final PageProbe probe = new PageProbe();
    private final Thread watch = new Thread(this::watch, "watch");
    private final Thread callWatch = new Thread(this::watchCalls, "watch-calls");
    private final long startedNanos = System.nanoTime();
    private volatile boolean closing;

    /**
     * Binds all sockets and prepares workers; nothing runs before {@link #start}.
     *
     * @throws IOException when a socket cannot be had; none is left behind then
     */
    public Backend(final Topology topology, final BackendOptions options) throws IOException {
        this.topology = topology;
        try {
            makeWorkers(options);
            for (final PortSpec spec : topology.ports()) {
                final Port port = new Port(spec.id(), spec.queues(), spec.waitMillis() * 1_000_000L);
                ports.add(port);
                attachments.add(attachment(port, spec));
            }
            Mtus.check(topology, attachments);
            assign();
        } catch (final IOException e) {
            closeAttachments();
            throw e;
        }
        watch.setDaemon(true);
        callWatch.setDaemon(true);
    }

    private void makeWorkers(final BackendOptions options) throws IOException {
        final List<Integer> cpus = options.cpus().isEmpty() ? List.of(Worker.ANY_CPU) : options.cpus();
        for (final int cpu : cpus) {
            workers.add(new Worker(
                    workers.size(),
                    cpu,
                    options.busyPoll() ? new BusyIdle() : new AdaptiveIdle(),
                    () -> LockSupport.unpark(watch)));
        }
        final BitSet pinned = new BitSet();
        options.cpus().forEach(pinned::set);
        if (!pinned.isEmpty()) {
            Affinity.keepOff(pinned);
        }
    }

    private static Attachment attachment(final Port port, final PortSpec spec) throws IOException {
        if (spec.kind() instanceof PortSpec.VhostUser vhostUser) {
            return new VhostUserPort(port, spec, vhostUser);
        }
        if (spec.kind() instanceof PortSpec.Tap tap) {
            return new InterfacePort(port, new TapInterface(tap.ifname(), spec.queues(), spec.offloads(), tap.mtu()));
        }
        if (spec.kind() instanceof PortSpec.Pcap pcap) {
            return new CapturePort(port, pcap);
        }
        if (spec.kind() instanceof PortSpec.Null) {
            return new NullPort(port, spec.offloads());
        }
        if (spec.kind() instanceof PortSpec.AfXdp xdp) {
            return new InterfacePort(port, new XdpInterface(xdp.ifname(), xdp.queue(), spec.queues(), xdp.copying()));
        }
        final PortSpec.AfPacket packet = (PortSpec.AfPacket) spec.kind();
        return new InterfacePort(port, new PacketInterface(packet.ifname(), spec.queues(), spec.offloads()));
    }

    /** Each group of connected ports gets a worker, the workers in turn; each source queue gets a wire. */
    private void assign() {
        final Map<String, Port> byId = new HashMap<>();
        ports.forEach(port -> byId.put(port.id(), port));
        int next = 0;
        for (final List<String> group : Groups.of(topology)) {
            final Worker worker = workers.get(next++ % workers.size());
            group.forEach(id -> byId.get(id).assignTo(worker));
        }
        final Set<Port> sources = new HashSet<>();
        for (final ExpandedPath expanded : topology.paths()) {
            final Path path = new Path(expanded.text());
            paths.add(path);
            if (attachmentOf(expanded.source()) instanceof CapturePort capture) {
                capture.startWith(attachmentOf(expanded.destination()));
            }
            sources.add(byId.get(expanded.source()));
            addWires(expanded, path, byId);
        }
        for (final Port port : ports) {
            if (!sources.contains(port)) {
                addDrains(port);
            }
        }
    }

    private Attachment attachmentOf(final String id) {
        return attachments.stream()
                .filter(attachment -> attachment.port().id().equals(id))
                .findFirst()
                .orElseThrow();
    }

    private static void addWires(final ExpandedPath expanded, final Path path, final Map<String, Port> byId) {
        final Port source = byId.get(expanded.source());
        final Port destination = byId.get(expanded.destination());
        final Port[] guards = expanded.guards().stream().map(byId::get).toArray(Port[]::new);
        for (int pair = 0; pair < source.queuePairs(); pair++) {
            final Element[] elements =
                    expanded.elements().stream().map(Elements.Recipe::make).toArray(Element[]::new);
            path.addElements(elements);
            addWire(new Wire(
                    new WireEnds(source, pair, destination, guards),
                    path,
                    elements,
                    source.worker().newPatience()));
        }
    }

    /** A port without a path still has to give its driver the buffers back. */
    private static void addDrains(final Port port) {
        for (int pair = 0; pair < port.queuePairs(); pair++) {
            addWire(new Wire(
                    new WireEnds(port, pair, null, new Port[0]),
                    null,
                    new Element[0],
                    port.worker().newPatience()));
        }
    }

    private static void addWire(final Wire wire) {
        final Port source = wire.ends().source();
        source.worker().add(wire);
        if (wire.ends().pair() == 0) {
            source.setFirstWire(wire);
        }
    }

    /** Loads the bindings to the system, which a back-end needs first. Any thread. */
    public static void prepare() {
        Libc.lastError();
        Affinity.allowedCpus();
        Endpoint.prepare();
    }

    /** Starts to poll rings and to serve front-ends. */
    public void start() {
        workers.forEach(Worker::start);
        attachments.forEach(Attachment::start);
        watch.start();
        callWatch.start();
    }

    /** What the packet way must not do itself: log, signal errors, look at files. */
    private void watch() {
        while (!closing) {
            try {
                attachments.forEach(Attachment::watch);
                for (final Worker worker : workers) {
                    if (worker.isFaulted()) {
                        breakGuilty(worker);
                        worker.resume();
                    }
                }
            } catch (final RuntimeException e) {
                LOG.error("while watching over the ports", e);
            }
            // Waiting for a command may have swallowed the wake-up of a fault meanwhile.
            if (workers.stream().noneMatch(Worker::isFaulted)) {
                LockSupport.parkNanos(WATCH_NANOS);
            }
        }
    }

    /** A thread of its own: the other one may wait for a session that waits for the very worker that is stuck. */
    private void watchCalls() {
        while (!closing) {
            attachments.forEach(Attachment::breakIfCallBlocked);
            LockSupport.parkNanos(ThreadLocalRandom.current().nextLong(CALL_WATCH_MIN_NANOS, CALL_WATCH_MAX_NANOS));
        }
    }

    /** Breaks the port whose memory went away under this worker: its file was cut short, or has a page no more. */
    private void breakGuilty(final Worker worker) {
        boolean found = false;
        for (final Attachment attachment : attachments) {
            found |= attachment.breakIfCutShort();
        }
        if (!found) {
            for (final Port culprit : worker.culprits(probe)) {
                attachments.get(ports.indexOf(culprit)).breakMemory("has a page that cannot be had");
            }
        }
    }

    /** All counters now. Any thread. */
    public StatsReport stats() {
        final List<StatsReport.PortStats> portStats = new ArrayList<>();
        for (int i = 0; i < ports.size(); i++) {
            portStats.add(
                    StatsCollector.port(ports.get(i), topology.ports().get(i).type(), attachments.get(i)));
        }
        return new StatsReport(
                (System.nanoTime() - startedNanos) / NANOS_PER_SECOND,
                portStats,
                paths.stream().map(StatsCollector::path).toList(),
                workers.stream()
                        .map(worker -> StatsCollector.worker(worker, ports))
                        .toList());
    }

    /** Whether {@link #isDone} can ever be. */
    public boolean ends() {
        return !ending().isEmpty();
    }

    /** Whether every capture is replayed, or where none is, has its size or time; or a file cannot be written. Any thread. */
    public boolean isDone() {
        return !failures().isEmpty() || ending().stream().allMatch(CapturePort::isDone);
    }

    private List<CapturePort> ending() {
        final List<CapturePort> replays =
                captures().filter(CapturePort::replaysToAnEnd).toList();
        return replays.isEmpty() ? captures().filter(CapturePort::fillsUp).toList() : replays;
    }

    private Stream<CapturePort> captures() {
        return attachments.stream().filter(CapturePort.class::isInstance).map(CapturePort.class::cast);
    }

    /** Frames that were taken from all ports so far. Any thread. */
    public long received() {
        return ports.stream().mapToLong(port -> port.receivedPackets.get()).sum();
    }

    /** Why files are not written any more. Any thread. */
    public List<String> failures() {
        return captures().map(CapturePort::failure).filter(Objects::nonNull).toList();
    }

    /** Hits of all rules now. Any thread. */
    public RulesReport rules() {
        return new RulesReport(paths.stream().flatMap(StatsCollector::filters).toList());
    }

    /**
     * Reads the rule files again; frames are judged by the new rules from the next one on.
     *
     * @throws RuleFileException when a file has mistakes; all old rules stay in force then
     */
    public void reloadRules() throws RuleFileException {
        topology.elements().reloadRules();
    }

    /** Stops rings cleanly, removes our sockets, ends all threads. Once is enough, twice is harmless. */
    @Override
    public void close() {
        if (closing) {
            return;
        }
        closing = true;
        LockSupport.unpark(watch);
        closeAttachments();
        workers.forEach(Worker::stop);
        probe.close();
    }

    private void closeAttachments() {
        for (final Attachment attachment : attachments) {
            try {
                attachment.close();
            } catch (final IOException e) {
                LOG.warn("while closing: {}", e.getMessage());
            }
        }
    }
}

package org.mypervisor.offload;

import java.io.IOException;
import java.util.List;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.offload.host.HostInterface;
import org.mypervisor.offload.host.LinkMonitor;
import org.mypervisor.vhostuser.Endpoint;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * A port whose other side is an interface of the host. Its thread follows the interface: queues run while it is up; when it
 * vanishes they are closed, and opened again when there is one of that name.
 */
final class InterfacePort implements Attachment {
    private static final Logger LOG = LogManager.getLogger(InterfacePort.class);

    /** Ethernet header and one tag. */
    private static final int FRAME_HEADERS = 18;

    private final Port port;
    private final HostInterface netInterface;
    private final LinkMonitor monitor;
    private final Thread thread;
    private volatile boolean open;
    private volatile boolean up;
    private volatile int mtu;
    private volatile long missed;
    private List<RunningQueue> queues = List.of();
    private boolean goneReported;
    private String lastFailure = "";

    /** @throws IOException when it cannot be a port; the message says why and what to do */
    InterfacePort(final Port port, final HostInterface netInterface) throws IOException {
        this.port = port;
        this.netInterface = netInterface;
        netInterface.setLosses(this::countLoss);
        netInterface.check();
        // Before the queues: if there is none of it, nothing is left open.
        this.monitor = new LinkMonitor();
        if (isReadyToOpen(netInterface.state())) {
            openOrLeaveNothing();
        }
        mtu = netInterface.mtu();
        this.thread = new Thread(this::follow, "port-" + port.id());
    }

    private void openOrLeaveNothing() throws IOException {
        try {
            queues = netInterface.open();
            open = true;
        } catch (final IOException e) {
            monitor.close();
            throw e;
        }
    }

    private boolean isReadyToOpen(final HostInterface.State state) {
        return state == HostInterface.State.UP || netInterface.opensWhileDown();
    }

    @Override
    public Port port() {
        return port;
    }

    /** Of the interface, in bytes. */
    int mtu() {
        return mtu;
    }

    String interfaceName() {
        return netInterface.name();
    }

    /** The kernel does not say why; what it cannot take whatever we do is told by what is known of the interface. */
    private void countLoss(final int bytes, final boolean gso, final boolean whole) {
        final boolean tooBig = bytes > mtu + FRAME_HEADERS && !gso;
        final DropReason reason = !up ? DropReason.DOWN : tooBig ? DropReason.TOO_BIG : DropReason.NO_BUFFER;
        port.drops[reason.ordinal()].add(1);
        if (whole) {
            port.sentPackets.add(-1);
            port.sentBytes.add(-bytes);
        }
    }

    @Override
    public void start() {
        LOG.info("port {}: interface {}, MTU {}", port.id(), netInterface.name(), mtu);
        if (open) {
            logRemarks();
            startQueues();
        }
        thread.start();
    }

    private void follow() {
        do {
            try {
                adjust();
            } catch (final RuntimeException | Error e) {
                LOG.error("port {}: while following interface {}", port.id(), netInterface.name(), e);
            }
        } while (monitor.await());
    }

    /** Makes the port what the interface is now. */
    private void adjust() {
        // In this order: of an interface that broke its queues by going, that it went is all there is to tell.
        final RingFault fault = queueFault();
        final HostInterface.State state = netInterface.state();
        final boolean keeps =
                state == HostInterface.State.UP || state == HostInterface.State.DOWN && netInterface.opensWhileDown();
        if (fault != null && keeps) {
            LOG.warn(
                    "port {}: a queue of interface {} broke ({}) and is opened anew",
                    port.id(),
                    netInterface.name(),
                    fault.key());
        }
        final boolean outgrown = netInterface.isOutgrown();
        if (outgrown) {
            LOG.info(
                    "port {}: interface {} has MTU {} now, for which its queues are opened anew",
                    port.id(),
                    netInterface.name(),
                    netInterface.mtu());
        }
        if (open && (!keeps || fault != null || outgrown)) {
            closeQueues();
        }
        if (state == HostInterface.State.GONE) {
            reportGone();
        } else {
            // Why one that is there again cannot be opened has to be told.
            goneReported = false;
        }
        if (!open && isReadyToOpen(netInterface.state())) {
            open();
        }
        if (open) {
            final int found = netInterface.followMtu();
            missed += netInterface.takeMissed();
            // One in another namespace tells no more.
            mtu = found == 0 ? mtu : found;
            enable(netInterface.state() == HostInterface.State.UP);
        }
    }

    /** Why one of its queues is broken, or null. */
    private RingFault queueFault() {
        for (final RunningQueue queue : queues) {
            if (queue.queue().fault() != null) {
                return queue.queue().fault();
            }
        }
        return null;
    }

    private void open() {
        try {
            queues = netInterface.open();
            open = true;
            logRemarks();
            startQueues();
            lastFailure = "";
        } catch (final IOException e) {
            // The same again every second, perhaps: once is enough.
            if (!e.getMessage().equals(lastFailure) && !goneReported) {
                LOG.warn("port {}: {}", port.id(), e.getMessage());
            }
            lastFailure = e.getMessage();
        }
    }

    private void logRemarks() {
        netInterface
                .remarks()
                .forEach(remark -> LOG.warn("port {}: interface {}: {}", port.id(), netInterface.name(), remark));
    }

    private void startQueues() {
        for (int i = 0; i < queues.size(); i++) {
            port.start(i, queues.get(i));
        }
    }

    private void enable(final boolean now) {
        if (now == up) {
            return;
        }
        for (int i = 0; i < queues.size(); i++) {
            port.enable(i, now);
        }
        up = now;
        if (now) {
            LOG.info(
                    "port {} is up: interface {}, MTU {}{}",
                    port.id(),
                    netInterface.name(),
                    mtu,
                    mode().isEmpty() ? "" : ", " + mode());
        } else {
            LOG.info("port {} is down: interface {} is", port.id(), netInterface.name());
        }
    }

    private void closeQueues() {
        enable(false);
        for (int i = 0; i < queues.size(); i++) {
            port.stop(i);
        }
        queues = List.of();
        netInterface.close();
        open = false;
    }

    /** Once, also of one whose queues were closed before: an interface is down for a moment before it goes. */
    private void reportGone() {
        if (goneReported) {
            return;
        }
        goneReported = true;
        LOG.warn(
                "port {}: interface {} is gone; the port goes on when there is one of that name",
                port.id(),
                netInterface.name());
    }

    @Override
    public Endpoint.State state() {
        return up ? Endpoint.State.UP : Endpoint.State.DOWN;
    }

    @Override
    public long features() {
        return open ? netInterface.features() : 0;
    }

    @Override
    public String mode() {
        return netInterface.mode();
    }

    @Override
    public long missed() {
        return missed;
    }

    @Override
    public void watch() {
        // Its thread looks after it.
    }

    @Override
    public void close() {
        if (thread.isAlive()) {
            monitor.stop();
            try {
                thread.join();
            } catch (final InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
            if (open) {
                closeQueues();
            }
        } else {
            netInterface.close();
        }
        monitor.close();
    }
}

package org.mypervisor.offload;

import java.io.IOException;
import java.nio.file.Path;
import org.mypervisor.offload.config.PortSpec;
import org.mypervisor.vhostuser.DataPlane;
import org.mypervisor.vhostuser.DeviceOptions;
import org.mypervisor.vhostuser.Endpoint;
import org.mypervisor.vhostuser.EventFd;
import org.mypervisor.vhostuser.SocketOptions;
import org.mypervisor.vhostuser.Vring;
import org.mypervisor.virtqueue.RingFault;

/** A port whose other side is the driver of a guest: its rings come and go as the front-end says. */
final class VhostUserPort implements Attachment, DataPlane {
    private final Port port;
    /** Those that run; changed by the session's thread, read by the one that watches over calls. */
    private final Vring[] vrings;

    private final Endpoint endpoint;

    /** @throws IOException when the socket cannot be had */
    VhostUserPort(final Port port, final PortSpec spec, final PortSpec.VhostUser written) throws IOException {
        this.port = port;
        this.vrings = new Vring[2 * port.queuePairs()];
        final SocketOptions socket = new SocketOptions(
                Path.of(written.path()),
                written.server(),
                written.access().mode(),
                written.access().owner().orElse(null),
                written.access().group().orElse(null));
        final PortSpec.Offered offered = written.offered();
        final DeviceOptions device = new DeviceOptions(
                spec.queues(),
                offered.mergeableBuffers(),
                offered.eventIdx(),
                offered.indirect(),
                offered.inOrder(),
                offered.packed(),
                spec.offloads());
        this.endpoint = new Endpoint(spec.id(), socket, device, this);
    }

    @Override
    public Port port() {
        return port;
    }

    @Override
    public void start(final int index, final Vring vring) {
        vrings[index] = vring;
        port.start(index, vring);
    }

    @Override
    public void stop(final int index) {
        port.stop(index);
        vrings[index] = null;
    }

    @Override
    public void hold() {
        port.hold();
    }

    @Override
    public void release() {
        port.release();
    }

    @Override
    public void enable(final int index, final boolean on) {
        port.enable(index, on);
    }

    @Override
    public void setCall(final int index, final EventFd call) {
        final Vring vring = vrings[index];
        port.worker().execute(() -> vring.setCall(call));
    }

    @Override
    public void announce(final byte[] mac) {
        port.announce(Rarp.frame(mac));
    }

    @Override
    public void countFault(final RingFault fault) {
        port.worker().execute(() -> port.faults[fault.ordinal()].add(1));
    }

    @Override
    public void start() {
        endpoint.start();
    }

    @Override
    public Endpoint.State state() {
        return endpoint.state();
    }

    @Override
    public long features() {
        return endpoint.features();
    }

    @Override
    public void watch() {
        endpoint.watch();
    }

    /** Gives all rings up if a call eventfd of this port is full, and frees the worker. */
    @Override
    public void breakIfCallBlocked() {
        for (final Vring vring : vrings) {
            if (vring != null && vring.isCallBlocked()) {
                breakForBlockedCall();
                return;
            }
        }
    }

    /** All rings first, so that the worker does not run from one blocked call into the next. */
    private void breakForBlockedCall() {
        for (final Vring vring : vrings) {
            if (vring != null) {
                vring.queue().breakRing(RingFault.CALL_BLOCKED);
            }
        }
        for (final Vring vring : vrings) {
            if (vring != null) {
                vring.freeCall();
            }
        }
    }

    @Override
    public boolean breakIfCutShort() {
        return endpoint.breakIfCutShort();
    }

    @Override
    public void breakMemory(final String why) {
        endpoint.breakMemory(why);
    }

    @Override
    public void close() throws IOException {
        endpoint.close();
    }
}

package org.mypervisor.offload;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.mypervisor.offload.capture.NullQueue;
import org.mypervisor.offload.gso.GuestOffloads;
import org.mypervisor.vhostuser.Endpoint;

/** A port with nothing on its other side: what is sent there is counted and gone. */
final class NullPort implements Attachment {
    private final Port port;
    private final long features;
    private final List<NullQueue> queues = new ArrayList<>();
    private volatile boolean up;

    /**
     * Nothing can go wrong but this.
     *
     * @param offloads whether frames may go as they are whose checksum or segmentation is left to the receiver
     * @throws IOException when no descriptors can be had
     */
    NullPort(final Port port, final boolean offloads) throws IOException {
        this.port = port;
        this.features = offloads ? GuestOffloads.ALL : 0;
        for (int i = 0; i < 2 * port.queuePairs(); i++) {
            queues.add(new NullQueue(features));
        }
    }

    @Override
    public Port port() {
        return port;
    }

    @Override
    public void start() {
        for (int i = 0; i < queues.size(); i++) {
            port.start(i, queues.get(i));
            port.enable(i, true);
        }
        up = true;
    }

    @Override
    public Endpoint.State state() {
        return up ? Endpoint.State.UP : Endpoint.State.DOWN;
    }

    @Override
    public long features() {
        return features;
    }

    @Override
    public void watch() {
        // Nothing can happen to it.
    }

    @Override
    public void close() {
        for (int i = 0; up && i < queues.size(); i++) {
            port.stop(i);
        }
        up = false;
        queues.forEach(NullQueue::free);
    }
}

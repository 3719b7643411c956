package org.mypervisor.driversim;

import java.util.Arrays;
import java.util.List;

/**
 * One ring of {@link FakeBackend}: a {@link SlowQueue} that works when it is kicked and calls when a call is due.
 * Frames of all rings wait in one list, with the index of the transmitq they came from as an extra last byte.
 */
final class FakeRing implements AutoCloseable {
    final long[] descUsedAvailUva = new long[3];
    int size;
    boolean enabled;
    int base;
    SlowQueue device;
    private boolean broken;
    private long features;
    private EventFd kick;
    private EventFd call;
    private EventFd err;

    void start(final GuestMemory memory, final long negotiated, final EventFd newKick) {
        final long desc = memory.gpaOf(descUsedAvailUva[0]);
        final long used = memory.gpaOf(descUsedAvailUva[1]);
        final long avail = memory.gpaOf(descUsedAvailUva[2]);
        final boolean packed = Virtio.has(negotiated, Virtio.VIRTIO_F_RING_PACKED);
        final RingLayout layout =
                packed ? new PackedLayout(size, desc, avail, used) : new SplitLayout(size, desc, avail, used);
        closeIfOpen(kick);
        kick = newKick;
        features = negotiated;
        // virtio-user sends base 0 at every start of a split ring: what was used is the truth.
        device = SlowQueue.of(memory, layout, negotiated, packed ? base : memory.le16(used + 2));
        broken = false;
        kick.signal();
    }

    void setCall(final EventFd newCall) {
        closeIfOpen(call);
        call = newCall;
        if (device != null) {
            // A call may have gone to the old one just now.
            call.signal();
        }
    }

    void setErr(final EventFd newErr) {
        closeIfOpen(err);
        err = newErr;
    }

    /** Returns the base. */
    int stop() {
        final int stoppedAt = device == null ? 0 : device.base();
        device = null;
        return stoppedAt;
    }

    void turn(final int index, final List<byte[]> backlog) {
        if (device == null || !enabled || broken) {
            return;
        }
        try {
            if (index % 2 == 0) {
                deliver(index, backlog);
            } else if (kick.drain() != 0) {
                collect(index, backlog);
            }
        } catch (final SlowQueue.BrokenRing e) {
            broken = true;
            if (err != null) {
                err.signal();
            }
        }
    }

    @Override
    public void close() {
        closeIfOpen(kick);
        closeIfOpen(call);
        closeIfOpen(err);
    }

    private void collect(final int index, final List<byte[]> backlog) {
        do {
            for (final byte[] frame : device.takeFrames(Virtio.netHeaderSize(features))) {
                final byte[] tagged = Arrays.copyOf(frame, frame.length + 1);
                tagged[frame.length] = (byte) index;
                backlog.add(tagged);
            }
            publish();
            device.enableKicks();
        } while (device.hasAvailable());
    }

    private void deliver(final int index, final List<byte[]> backlog) {
        kick.drain();
        final int headerSize = Virtio.netHeaderSize(features);
        final boolean mergeable = Virtio.has(features, Virtio.VIRTIO_NET_F_MRG_RXBUF);
        inspectFirst(headerSize);
        backlog.removeIf(tagged -> tagged[tagged.length - 1] == index + 1
                && device.deliver(Arrays.copyOf(tagged, tagged.length - 1), headerSize, mergeable));
        publish();
        device.enableKicks();
    }

    /** Judges a chain even when no frame waits for it, so that hostile tests need no second port. */
    private void inspectFirst(final int headerSize) {
        final SlowQueue.Taken chain = device.take();
        if (chain == null) {
            return;
        }
        if (chain.fault() != null || !chain.readable().isEmpty() || chain.writableBytes() < headerSize) {
            device.use(chain.head(), 0);
        } else {
            device.giveBack(1);
        }
    }

    private void publish() {
        if (device.publish()) {
            call.signal();
        }
    }

    private static void closeIfOpen(final EventFd eventFd) {
        if (eventFd != null) {
            eventFd.close();
        }
    }
}

package org.mypervisor.offload;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.mypervisor.vhostuser.EventFd;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.vhostuser.Vring;
import org.mypervisor.virtqueue.RawMemory;

/**
 * Spins a little, then asks the drivers to kick, looks at the rings once more, and sleeps in epoll on their kick
 * eventfds.
 *
 * <p>Kicks are watched edge-triggered and never read: every write to an eventfd reports once, which saves a system call
 * and cannot block, whatever the front-end does with its end.
 */
final class AdaptiveIdle implements IdleStrategy {
    /**
     * How long to spin before a sleep. A sleep and its wake-up cost about 10 us; spinning longer takes the CPU from the
     * very guests whose frames are awaited where CPUs are few.
     */
    private static final long SPIN_NANOS = 20_000;

    /** epoll counts in milliseconds; a frame that waits for a buffer looks again after the shortest sleep. */
    private static final int RETRY_MILLIS = 1;

    private static final int FOREVER = -1;

    /** struct epoll_event { u32 events; u64 data; }, packed on x86-64. */
    private static final int EVENT_SIZE = 12;

    private static final int DATA_OFFSET = 4;
    private static final int MAX_EVENTS = 64;

    private final int epoll;
    private final EventFd wake = EventFd.create();
    private final long events = RawMemory.allocate(MAX_EVENTS * EVENT_SIZE);
    private final Map<Vring, Integer> slots = new HashMap<>();
    private Port[] portOfSlot = new Port[16];
    private boolean spinning;
    private long spinningSince;

    AdaptiveIdle() throws IOException {
        epoll = LIBC.epoll_create1(Libc.EPOLL_CLOEXEC);
        if (epoll < 0) {
            throw new IOException("epoll_create1: " + Libc.lastError());
        }
        add(wake.fd(), slotFor(null));
    }

    @Override
    public void worked() {
        spinning = false;
    }

    @Override
    public void idle(final Wire[] wires) {
        final long now = System.nanoTime();
        if (!spinning) {
            spinning = true;
            spinningSince = now;
        }
        if (now - spinningSince < SPIN_NANOS) {
            Thread.onSpinWait();
            return;
        }
        boolean waiting = false;
        boolean workLeft = false;
        for (final Wire wire : wires) {
            workLeft |= wire.enableKicks();
            waiting |= wire.isWaiting();
        }
        if (!workLeft) {
            sleep(waiting ? RETRY_MILLIS : FOREVER);
        }
        for (final Wire wire : wires) {
            wire.suppressKicks();
        }
        spinning = false;
    }

    private void sleep(final int millis) {
        final int count = LIBC.epoll_wait(epoll, events, MAX_EVENTS, millis);
        for (int i = 0; i < count; i++) {
            // Loaded as a whole: the slot is below 2^32.
            final int slot = (int) RawMemory.le32(events + (long) i * EVENT_SIZE + DATA_OFFSET);
            final Port port = portOfSlot[slot];
            if (port != null) {
                port.kicks.add(1);
            }
        }
    }

    @Override
    public void wake() {
        wake.signal();
    }

    @Override
    public void watchKick(final Vring vring, final Port port) {
        if (vring.kickFd() >= 0) {
            final int slot = slotFor(port);
            slots.put(vring, slot);
            add(vring.kickFd(), slot);
        }
    }

    @Override
    public void forgetKick(final Vring vring) {
        final Integer slot = slots.remove(vring);
        if (slot != null) {
            // Closing alone would not do: the front-end keeps the eventfd open.
            LIBC.epoll_ctl(epoll, Libc.EPOLL_CTL_DEL, vring.kickFd(), events);
            portOfSlot[slot] = null;
        }
    }

    private void add(final int fd, final int slot) {
        final long event = RawMemory.allocate(EVENT_SIZE);
        RawMemory.putLe32(event, Libc.EPOLLIN | Libc.EPOLLET);
        RawMemory.putLe64(event + DATA_OFFSET, slot);
        LIBC.epoll_ctl(epoll, Libc.EPOLL_CTL_ADD, fd, event);
        RawMemory.free(event, EVENT_SIZE);
    }

    /** A free slot; slot 0 is the wake eventfd's and belongs to no port. */
    private int slotFor(final Port port) {
        if (port == null) {
            return 0;
        }
        int slot = 1;
        while (slot < portOfSlot.length && portOfSlot[slot] != null) {
            slot++;
        }
        if (slot == portOfSlot.length) {
            portOfSlot = java.util.Arrays.copyOf(portOfSlot, 2 * slot);
        }
        portOfSlot[slot] = port;
        return slot;
    }

    @Override
    public void close() {
        LIBC.close(epoll);
        wake.close();
        RawMemory.free(events, MAX_EVENTS * EVENT_SIZE);
    }
}

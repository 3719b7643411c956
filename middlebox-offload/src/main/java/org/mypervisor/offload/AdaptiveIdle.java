package org.mypervisor.offload;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.mypervisor.vhostuser.EventFd;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * Spins a little, then asks the drivers to kick, looks at the rings once more, and sleeps in epoll on their kick
 * eventfds.
 *
 * <p>Kicks are watched edge-triggered and never read: every write to an eventfd reports once, which saves a system call
 * and cannot block, whatever the front-end does with its end.
 */
final class AdaptiveIdle implements IdleStrategy {
    /**
     * How long to spin before a sleep, at most. A sleep and its wake-up cost about 10 us; spinning longer takes the CPU from
     * the very guests whose frames are awaited where CPUs are few.
     */
    private static final long MAX_SPIN_NANOS = 5_000;

    /**
     * What passes between a kick early in a sleep and the end of that sleep: 12 to 16 us between two CPUs. With an allowance of
     * 5 us the spin hardly grew for frames that came 3 us after the last turn, and not at all for those after 4.5 us.
     */
    private static final long WAKE_UP_NANOS = 13_000;

    /** Below that it is not worth the looks at the clock. */
    private static final long MIN_SPIN_NANOS = 1_000;

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
    private final Map<RunningQueue, Integer> slots = new HashMap<>();
    /** Rings whose front-end sends no kicks and wants to be polled. */
    private final Set<RunningQueue> unwatched = new HashSet<>();

    private Port[] portOfSlot = new Port[16];
    /**
     * How long to spin now: longer after a sleep that a longer spin would have saved, shorter after one that none would
     * have.
     */
    private long spinNanos = MAX_SPIN_NANOS;

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
    public boolean isTimeToSleep() {
        final long now = System.nanoTime();
        if (!spinning) {
            spinning = true;
            spinningSince = now;
        }
        return now - spinningSince >= spinNanos;
    }

    /** None: the driver may be waiting for this very CPU. */
    @Override
    public long patienceNanos() {
        return 0;
    }

    @Override
    public void sleep(final boolean briefly) {
        sleep(briefly || !unwatched.isEmpty() ? RETRY_MILLIS : FOREVER);
    }

    private void sleep(final int millis) {
        final int count = LIBC.epoll_wait(epoll, events, MAX_EVENTS, millis);
        if (System.nanoTime() - spinningSince < MAX_SPIN_NANOS + WAKE_UP_NANOS) {
            spinNanos = Math.min(Math.max(2 * spinNanos, MIN_SPIN_NANOS), MAX_SPIN_NANOS);
        } else {
            spinNanos = spinNanos < MIN_SPIN_NANOS ? 0 : spinNanos / 2;
        }
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
    public void watchKick(final RunningQueue vring, final Port port) {
        if (vring.kickFd() < 0) {
            unwatched.add(vring);
        } else if (!slots.containsKey(vring)) {
            final int slot = slotFor(port);
            add(vring.kickFd(), slot);
            portOfSlot[slot] = port;
            slots.put(vring, slot);
        }
    }

    @Override
    public void forgetKick(final RunningQueue vring) {
        unwatched.remove(vring);
        final Integer slot = slots.get(vring);
        if (slot != null) {
            // Closing alone would not do: the front-end keeps the eventfd open.
            LIBC.epoll_ctl(epoll, Libc.EPOLL_CTL_DEL, vring.kickFd(), events);
            portOfSlot[slot] = null;
            slots.remove(vring);
        }
    }

    private void add(final int fd, final int slot) {
        final long event = RawMemory.allocate(EVENT_SIZE);
        RawMemory.putLe32(event, Libc.EPOLLIN | Libc.EPOLLET);
        RawMemory.putLe64(event + DATA_OFFSET, slot);
        // A memory fault may have interrupted the command that added it before: then it is repeated.
        LIBC.epoll_ctl(epoll, Libc.EPOLL_CTL_DEL, fd, event);
        final int result = LIBC.epoll_ctl(epoll, Libc.EPOLL_CTL_ADD, fd, event);
        RawMemory.free(event, EVENT_SIZE);
        if (result != 0) {
            throw new IllegalStateException("epoll_ctl: " + Libc.lastError());
        }
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
        return slot;
    }

    @Override
    public void close() {
        LIBC.close(epoll);
        wake.close();
        RawMemory.free(events, MAX_EVENTS * EVENT_SIZE);
    }
}

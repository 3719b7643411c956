package org.mypervisor.jmh;

import static org.mypervisor.driversim.Virtio.LIKE_VIRTIO_USER;
import static org.mypervisor.driversim.Virtio.LIKE_VIRTIO_USER_PACKED;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_AVAIL;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_USED;
import static org.mypervisor.vhostuser.Libc.LIBC;
import static org.mypervisor.vhostuser.Libc.MAP_POPULATE;
import static org.mypervisor.vhostuser.Libc.MAP_SHARED;
import static org.mypervisor.vhostuser.Libc.PROT_READ_WRITE;

import java.util.List;
import java.util.function.Supplier;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.Region;
import org.mypervisor.driversim.RingLayout;
import org.mypervisor.driversim.Virtio;
import org.mypervisor.virtqueue.GuestMemory;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.Virtqueue;
import org.mypervisor.virtqueue.VringLayout;

/**
 * A ring that is always full: what the device has used, its driver makes available again. driver-sim's driver lays it out;
 * then {@link #refill} makes only those stores without which the device would find nothing, so that hardly anything but the
 * device is measured. The driver wants no calls.
 *
 * <p>For one thread, which plays both sides, so the refill needs no order.
 */
public final class SteadyRing implements AutoCloseable {
    /** Chains of the ring: whole bursts. */
    public static final int SIZE = 4 * FrameBenchmark.BURST;

    private static final int BUFFER_SIZE = 2048;

    /** From one buffer to the next: an odd number of cache lines, as in DPDK's pools, so that all sets of a cache serve. */
    private static final int STRIDE = 37 * 64;

    private static final int MEMORY_SIZE = 1 << 20;

    /** virtio 1.2 §2.7.6: flags, then idx. */
    private static final int AVAIL_IDX = 2;

    /** virtio 1.2 §2.8.13: addr, then len, id and flags, which is what a device overwrites. */
    private static final int DESCRIPTOR_SIZE = 16;

    private static final int LEN_ID_FLAGS = 8;
    private static final long NEXT_LAP = (long) (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED) << 48;

    private final GuestMemoryFile file = GuestMemoryFile.likeVirtioUser(MEMORY_SIZE);
    private final boolean packed;
    private final DriverQueue driver;
    private final Virtqueue device;
    private final long mapping;
    private final long availIdx;
    private final long descriptors;

    /** What the driver wrote last into each descriptor of a packed ring. */
    private final long[] words = new long[SIZE];

    /** What comes behind the last chain that is available: index in a split ring, slot in a packed one. */
    private int next = SIZE;

    /** @param frames one for each buffer of a transmitq; null makes a receiveq */
    private SteadyRing(final boolean packed, final Supplier<byte[]> frames) {
        this.packed = packed;
        final long features = packed ? LIKE_VIRTIO_USER_PACKED : LIKE_VIRTIO_USER;
        driver = DriverQueue.allocate(file, SIZE, features);
        fill(frames, Virtio.netHeaderSize(features));
        final Region region = file.table().get(0);
        mapping = map(region, file.fd());
        final RingLayout layout = driver.layout();
        device = Virtqueue.of(
                new GuestMemory(List.of(new GuestMemory.Region(region.gpa(), region.uva(), region.size(), mapping))),
                new VringLayout(
                        SIZE,
                        file.uvaOf(layout.descGpa()),
                        file.uvaOf(layout.availGpa()),
                        file.uvaOf(layout.usedGpa()),
                        frames == null,
                        features,
                        driver.firstBase(),
                        true));
        availIdx = mapping + layout.availGpa() - region.gpa() + AVAIL_IDX;
        descriptors = mapping + layout.descGpa() - region.gpa();
        for (int i = 0; i < SIZE; i++) {
            words[i] = RawMemory.le64(word(i));
        }
    }

    /** Makes all buffers available. */
    private void fill(final Supplier<byte[]> frames, final int headerSize) {
        final long buffers = file.allocate((long) SIZE * STRIDE, 64);
        for (int i = 0; i < SIZE; i++) {
            final long gpa = buffers + (long) i * STRIDE;
            if (frames == null) {
                driver.addOne(gpa, BUFFER_SIZE, true);
            } else {
                final byte[] frame = frames.get();
                file.write(gpa + headerSize, frame);
                driver.addOne(gpa, headerSize + frame.length, false);
            }
        }
        driver.disableInterrupts();
        driver.publish();
    }

    private static long map(final Region region, final int fd) {
        return LIBC.mmap(null, region.size(), PROT_READ_WRITE, MAP_SHARED | MAP_POPULATE, fd, region.mmapOffset())
                .address();
    }

    private long word(final int slot) {
        return descriptors + (long) slot * DESCRIPTOR_SIZE + LEN_ID_FLAGS;
    }

    /** A ring with frames for the device to take. */
    public static SteadyRing transmitq(final boolean packed, final Supplier<byte[]> frames) {
        return new SteadyRing(packed, frames);
    }

    /** A ring with room for the device to fill. */
    public static SteadyRing receiveq(final boolean packed) {
        return new SteadyRing(packed, null);
    }

    public Virtqueue device() {
        return device;
    }

    /** Makes a burst available again. */
    public void refill() {
        refill(FrameBenchmark.BURST);
    }

    /** Makes that many chains available again, not beyond the ring's end. */
    public void refill(final int count) {
        if (packed) {
            refillPacked(count);
        } else {
            // Completed in order: the entries of the available ring, and what they stand for, are there already.
            next = next + count & 0xFFFF;
            RawMemory.putLe16Release(availIdx, next);
        }
    }

    private void refillPacked(final int count) {
        final int first = next % SIZE;
        for (int i = first; i < first + count; i++) {
            words[i] ^= NEXT_LAP;
            RawMemory.putLe64(word(i), words[i]);
        }
        next = first + count;
    }

    @Override
    public void close() {
        LIBC.munmap(mapping, MEMORY_SIZE);
        driver.close();
        file.close();
    }
}

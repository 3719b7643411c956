package org.mypervisor.virtqueue;

import static org.mypervisor.virtqueue.VirtqDesc.VIRTQ_DESC_F_WRITE;

/**
 * The next chains of a virtqueue as {@link BufferQueue#look} found them, as long as each is what nearly all are: one buffer,
 * in one region. Whatever else a chain may be is for {@link BufferQueue#append}.
 *
 * <p>What is here was loaded from the ring once and checked, so it can be used without another look. One instance per
 * queue, owned by its worker thread.
 */
public final class BufferBurst {
    /**
     * Chains for which there is room. What has to wait for the other side's cache lines waits once a burst, so there are more
     * of them than drivers send at once.
     */
    public static final int MOST = 64;

    private final long[] address = new long[MOST];
    private final int[] length = new int[MOST];
    private final int[] token = new int[MOST];
    private final int[] written = new int[MOST];
    private final GuestMemory memory;
    private final boolean writable;
    private int count;
    private boolean completed;

    /** The region that the last buffer was in. Most are in the same one. */
    private long regionGpa;

    private long regionSize;
    private long regionHost;

    /** @param writable whether the queue's buffers are device-writable (receiveq) or device-readable (transmitq) */
    BufferBurst(final GuestMemory memory, final boolean writable) {
        this.memory = memory;
        this.writable = writable;
    }

    /** Host address of a buffer. */
    public long address(final int index) {
        return address[index];
    }

    /** Bytes of a buffer, above 0. */
    public int length(final int index) {
        return length[index];
    }

    /** How many bytes a buffer was filled with; remains 0 where frames are taken from. */
    public void setWritten(final int index, final int bytes) {
        written[index] = bytes;
    }

    int written(final int index) {
        return written[index];
    }

    int token(final int index) {
        return token[index];
    }

    /** Flags that the only descriptor of a chain has, of NEXT, WRITE and INDIRECT. */
    int flags() {
        return writable ? VIRTQ_DESC_F_WRITE : 0;
    }

    /** Declares how many chains are here. */
    int end(final int chains) {
        count = chains;
        completed = false;
        return chains;
    }

    /** Declares that chains were completed since the last look; the queue's position has moved just before. */
    void complete() {
        completed = true;
    }

    /** Whether {@link BufferQueue#completeBurst} took effect since the last look, even if an error came out of it. */
    public boolean isCompleted() {
        return completed;
    }

    /**
     * Notes a buffer of one descriptor.
     *
     * @param bytes 0..2^32-1
     * @return false when it is empty, too long or not in one region
     */
    boolean set(final int index, final long gpa, final long bytes, final int chainToken) {
        if (Long.compareUnsigned(bytes - 1, DescriptorChain.MAX_BYTES) >= 0) {
            return false;
        }
        long offset = gpa - regionGpa;
        // An address below the start becomes a huge unsigned offset.
        if (Long.compareUnsigned(offset, regionSize) >= 0) {
            if (!findRegion(gpa)) {
                return false;
            }
            offset = gpa - regionGpa;
        }
        if (bytes > regionSize - offset) {
            return false;
        }
        address[index] = regionHost + offset;
        length[index] = (int) bytes;
        token[index] = chainToken;
        return true;
    }

    private boolean findRegion(final long gpa) {
        final int region = memory.regionOf(gpa);
        if (region < 0) {
            return false;
        }
        regionGpa = memory.regionGpa(region);
        regionSize = memory.regionSize(region);
        regionHost = memory.regionHost(region);
        return true;
    }

    /** Whether every page of the buffers can be had. */
    boolean isWhole(final MemoryProbe probe) {
        for (int i = 0; i < count; i++) {
            if (writable ? !probe.isWritable(address[i], length[i]) : !probe.isReadable(address[i], length[i])) {
                return false;
            }
        }
        return true;
    }
}

package org.mypervisor.offload;

import org.mypervisor.virtqueue.RawMemory;

/**
 * A frame as the elements see it: a private copy of its first bytes, which no guest can change between the decision and
 * the copy into the destination.
 *
 * <p>One instance per source queue, reused for every frame, owned by that queue's worker thread. Offsets count from the
 * first byte of the Ethernet header; the virtio-net header is not part of it.
 */
public final class Packet {
    /** Bytes of a frame that elements can see. */
    public static final int SNAPSHOT_SIZE = 128;

    private final long address = RawMemory.allocate(SNAPSHOT_SIZE);
    private int snapshotLength;
    private int frameLength;

    /** Host address of the snapshot, {@link #SNAPSHOT_SIZE} bytes of our own memory. */
    public long address() {
        return address;
    }

    /** Bytes of the frame in the snapshot: {@code min(frameLength, SNAPSHOT_SIZE)}. */
    public int snapshotLength() {
        return snapshotLength;
    }

    /** Length of the whole frame in bytes, without virtio-net header and FCS. */
    public int frameLength() {
        return frameLength;
    }

    /** Declares that the snapshot now holds the head of a frame of this length. */
    public void load(final int newFrameLength) {
        frameLength = newFrameLength;
        snapshotLength = Math.min(newFrameLength, SNAPSHOT_SIZE);
    }

    /** Makes a frame of our own the one in the snapshot. */
    void load(final byte[] frame) {
        for (int i = 0; i < frame.length; i++) {
            RawMemory.putU8(address + i, frame[i]);
        }
        load(frame.length);
    }

    /** Frees the snapshot; for a packet that does not live as long as the process. */
    void close() {
        RawMemory.free(address, SNAPSHOT_SIZE);
    }
}

package org.mypervisor.jmh;

import org.mypervisor.offload.Packet;
import org.mypervisor.offload.rules.RuleSample;
import org.mypervisor.virtqueue.RawMemory;

/** Frames of so many flows, again and again, one of each; a burst of them at a time in snapshots. */
final class Flows {
    /** Bytes from one frame to the next. */
    private static final int STRIDE = Packet.SNAPSHOT_SIZE;

    private final long memory;
    private final int[] lengths;
    private final Packet[] snapshots = new Packet[FrameBenchmark.BURST];
    private int next;

    Flows(final RuleSample sample, final int count) {
        memory = RawMemory.allocate(count * STRIDE);
        lengths = new int[count];
        for (int i = 0; i < count; i++) {
            final byte[] frame = sample.nextFrame();
            for (int at = 0; at < frame.length; at++) {
                RawMemory.putU8(memory + (long) i * STRIDE + at, frame[at]);
            }
            lengths[i] = frame.length;
        }
        for (int i = 0; i < snapshots.length; i++) {
            snapshots[i] = new Packet();
        }
    }

    void takeSnapshots() {
        for (final Packet packet : snapshots) {
            packet.load(lengths[next]);
            RawMemory.copy(memory + (long) next * STRIDE, packet.address(), packet.snapshotLength());
            next = next + 1 == lengths.length ? 0 : next + 1;
        }
    }

    Packet snapshot(final int index) {
        return snapshots[index];
    }
}

package org.mypervisor.offload;

import org.mypervisor.virtqueue.BufferBurst;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.VirtioNetHdr;

/**
 * The usual case of the hot loop: many frames at once, each in one buffer, with nothing left to do, into one receive buffer
 * each. It goes in passes over all of them, so that each pass is a short loop and the cache misses of its frames overlap:
 * look at both rings, load ahead, judge, copy, complete. It ends before the first frame that is of another kind.
 *
 * <p>Both rings go on only when all frames are copied: a burst that a memory fault breaks off is done once more, all of it.
 * One instance per wire, owned by its worker.
 */
final class Burst {
    /** Turns in which nobody looks for a burst, after one had no frame of the usual kind in front. */
    private static final int TURNS_WITHOUT = 8;

    /** What asks for something in the first bytes of a header, virtio 1.2 §5.1.6: NEEDS_CSUM, and all of gso_type. */
    private static final long REQUEST_MASK = 0xFF01;

    private final Element[] elements;
    private final Packet[] packets;
    private final int[] verdicts = new int[BufferBurst.MOST];
    private final LoadAhead loadAhead = new LoadAhead();
    private int without;
    private boolean takenAll;
    private int sent;
    private long takenBytes;
    private long sentBytes;

    /** The rings of frames that are being completed or not counted yet, and how many frames. */
    private BufferQueue openFrom;

    private BufferQueue openTo;
    private int openTaken;
    /** Whose frames have arrived, though a fault came in between; and how many it still has to complete. */
    private BufferQueue interruptedFrom;

    private int interruptedTaken;

    Burst(final Element[] elements) {
        this.elements = elements;
        packets = new Packet[elements.length == 0 ? 0 : BufferBurst.MOST];
        for (int i = 0; i < packets.length; i++) {
            packets[i] = new Packet();
        }
    }

    /** Whether the last try took frames, and all for which there was a buffer. */
    boolean hasTakenAll() {
        return takenAll;
    }

    /** Of the frames last taken, those that passed. */
    int sent() {
        return sent;
    }

    /** Bytes of the frames last taken, without their headers. */
    long takenBytes() {
        return takenBytes;
    }

    long sentBytes() {
        return sentBytes;
    }

    /** Of a frame last taken, if not all passed: as {@link Element#process}. */
    int verdict(final int index) {
        return verdicts[index];
    }

    /**
     * Takes frames to their end.
     *
     * @param most to take, up to {@link BufferBurst#MOST}
     * @param mayRequest whether the source's driver may leave something to do in a frame's header
     * @return how many were taken
     */
    int forward(final BufferQueue from, final BufferQueue to, final int most, final boolean mayRequest) {
        takenAll = false;
        if (without != 0) {
            without--;
            return 0;
        }
        final int looked = from.look(most);
        final int found = to.look(looked);
        final int usual = mayRequest ? plain(from.burst(), from.netHdrSize(), found) : found;
        final int taken;
        if (elements.length == 0) {
            taken = copy(from, to, usual);
        } else {
            taken = fitting(from, to, usual);
            loadAhead.firstLines(from.burst(), from.netHdrSize(), taken);
            judge(from, taken);
            copyJudged(to, from, taken);
        }
        if (taken == 0) {
            // If only receive buffers were missing the next turn may have them.
            without = looked == 0 || found != 0 ? TURNS_WITHOUT : 0;
            return 0;
        }
        takenAll = taken == found;
        openFrom = from;
        openTo = to;
        openTaken = taken;
        to.completeBurst(sent);
        from.completeBurst(taken);
        return taken;
    }

    /** The frames last taken are counted. */
    void close() {
        openFrom = null;
        openTo = null;
    }

    /**
     * A memory fault has broken something off, perhaps between the two rings' completions: notes how far they got. Before any
     * other wire uses the rings.
     */
    void interrupt() {
        interruptedFrom = openFrom != null && openTo.burst().isCompleted() ? openFrom : null;
        interruptedTaken = interruptedFrom != null && !interruptedFrom.burst().isCompleted() ? openTaken : 0;
    }

    /**
     * Frames that arrived are taken from their source now, lest they are sent again.
     *
     * @param from the source, if it still runs
     * @return frames that are to be counted
     */
    int resume(final BufferQueue from) {
        if (interruptedFrom == null || interruptedFrom != from || from.fault() != null) {
            close();
            return 0;
        }
        if (interruptedTaken != 0) {
            from.completeBurst(interruptedTaken);
            interruptedTaken = 0;
        }
        interruptedFrom = null;
        return openTaken;
    }

    /** How many of the first frames ask for nothing. Their headers are not read again. */
    private static int plain(final BufferBurst source, final int netHdrSize, final int count) {
        for (int i = 0; i < count; i++) {
            if (source.length(i) <= netHdrSize || (RawMemory.le64(source.address(i)) & REQUEST_MASK) != 0) {
                return i;
            }
        }
        return count;
    }

    /** Copies frames up to one of a bad length, or that does not fit; returns how many. */
    private int copy(final BufferQueue from, final BufferQueue to, final int count) {
        final BufferBurst source = from.burst();
        final BufferBurst sink = to.burst();
        final int fromHdrSize = from.netHdrSize();
        final int toHdrSize = to.netHdrSize();
        loadAhead.firstLines(source, fromHdrSize, count);
        loadAhead.firstLinesToWrite(source, sink, toHdrSize, count);
        long bytes = 0;
        int done = 0;
        for (; done < count; done++) {
            if (done + 1 < count) {
                loadAhead.beginning(source, sink, done + 1);
            }
            final int length = source.length(done) - fromHdrSize;
            if (length <= 0 || length > Wire.MAX_FRAME || toHdrSize + length > sink.length(done)) {
                break;
            }
            final long address = sink.address(done);
            VirtioNetHdr.putPlain(address, toHdrSize, 1);
            RawMemory.copy(source.address(done) + fromHdrSize, address + toHdrSize, length);
            sink.setWritten(done, toHdrSize + length);
            bytes += length;
        }
        sent = done;
        sentBytes = bytes;
        takenBytes = bytes;
        return done;
    }

    /** How many of the first frames have a legal length and fit any of the buffers: how many will pass is not known yet. */
    private static int fitting(final BufferQueue from, final BufferQueue to, final int count) {
        final BufferBurst source = from.burst();
        final BufferBurst sink = to.burst();
        int room = from.netHdrSize() + Wire.MAX_FRAME;
        for (int i = 0; i < count; i++) {
            room = Math.min(room, sink.length(i) - to.netHdrSize() + from.netHdrSize());
        }
        for (int i = 0; i < count; i++) {
            if (source.length(i) <= from.netHdrSize() || source.length(i) > room) {
                return i;
            }
        }
        return count;
    }

    /** Takes all snapshots, then judges them. */
    private void judge(final BufferQueue from, final int count) {
        final BufferBurst source = from.burst();
        final int netHdrSize = from.netHdrSize();
        long bytes = 0;
        for (int i = 0; i < count; i++) {
            final Packet packet = packets[i];
            packet.load(source.length(i) - netHdrSize);
            RawMemory.copy(source.address(i) + netHdrSize, packet.address(), packet.snapshotLength());
            bytes += packet.frameLength();
        }
        takenBytes = bytes;
        for (int i = 0; i < count; i++) {
            verdicts[i] = Element.PASS;
        }
        for (final Element element : elements) {
            element.processAll(packets, count, verdicts);
        }
    }

    /** Copies the bytes that were judged, not those that the guest may have put in their place since. */
    private void copyJudged(final BufferQueue to, final BufferQueue from, final int count) {
        final BufferBurst source = from.burst();
        final BufferBurst sink = to.burst();
        final int toHdrSize = to.netHdrSize();
        long bytes = 0;
        int passed = 0;
        for (int i = 0; i < count; i++) {
            if (verdicts[i] == Element.PASS) {
                final Packet packet = packets[i];
                final int judged = packet.snapshotLength();
                final int length = packet.frameLength();
                final long address = sink.address(passed);
                VirtioNetHdr.putPlain(address, toHdrSize, 1);
                RawMemory.copy(packet.address(), address + toHdrSize, judged);
                if (length != judged) {
                    RawMemory.copy(
                            source.address(i) + from.netHdrSize() + judged,
                            address + toHdrSize + judged,
                            length - judged);
                }
                sink.setWritten(passed++, toHdrSize + length);
                bytes += length;
            }
        }
        sent = passed;
        sentBytes = bytes;
    }
}

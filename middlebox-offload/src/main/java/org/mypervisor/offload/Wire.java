package org.mypervisor.offload;

import org.mypervisor.vhostuser.Vring;
import org.mypervisor.virtqueue.DescriptorChain;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.SplitVirtqueue;

/**
 * The hot loop: moves frames from one transmitq through the elements of its path into a receiveq of the destination,
 * with one copy.
 *
 * <p>A frame is taken from its source ring only when its fate is known, so a burst that stops half way, for want of a
 * buffer or for a fault, loses and repeats nothing. Nothing here allocates, locks, logs or throws, and the only system
 * call is the one that notifies a driver that asked for it.
 *
 * <p>Owned by one worker thread, like the rings at both ends.
 */
final class Wire {
    /** Frames a turn: few enough to keep latency and cache footprint low, enough to share the cost of publishing. */
    static final int BURST = 32;

    /** No receive buffer yet; the frame stays where it is. */
    private static final int WAIT = -2;

    /** Not a frame: a malformed chain, already counted. */
    private static final int NO_FRAME = -3;

    private final Port source;
    private final int pair;
    private final Port destination;
    private final Port[] guards;
    private final Path path;
    private final Element[] elements;
    private final Packet packet = new Packet();
    private final Packet injected = new Packet();
    private final ReceiveBuffers buffers = new ReceiveBuffers();
    private final FrameCopy copy = new FrameCopy();

    /** The ring whose next chain is loaded and judged below, or null when none is. */
    private Vring loadedFrom;

    private DescriptorChain chain;
    private int head;
    private int verdict;

    private boolean waiting;
    private long waitingSince;
    private boolean congested;
    private boolean suspended;

    private int frames;
    private long frameBytes;
    private int sentFrames;
    private long sentFrameBytes;

    /**
     * @param pair queue pair of the source
     * @param destination null when the source has no path: its frames are taken and dropped
     * @param guards ports that must be up, else frames end as {@link DropReason#VM_DOWN}
     * @param elements of this queue alone
     */
    Wire(
            final Port source,
            final int pair,
            final Port destination,
            final Port[] guards,
            final Path path,
            final Element[] elements) {
        this.source = source;
        this.pair = pair;
        this.destination = destination;
        this.guards = guards;
        this.path = path;
        this.elements = elements;
    }

    /**
     * One turn: takes at most a burst.
     *
     * @return frames taken
     */
    int forward() {
        final Vring from = source.transmitq(pair);
        if (from == null || suspended) {
            return 0;
        }
        final int count = Math.min(from.queue().available(), BURST);
        if (count == 0) {
            return 0;
        }
        final Vring to = destination == null ? null : destination.receiveqFor(pair);
        int done = 0;
        while (done < count && forwardNext(from, to)) {
            done++;
        }
        settle(from, to);
        return done;
    }

    /** Takes the next frame to its end; false when it has to wait or the source ring broke. */
    private boolean forwardNext(final Vring from, final Vring to) {
        if (loadedFrom != from && !load(from)) {
            return false;
        }
        final int fate = verdict == Element.PASS ? deliver(from.queue(), to) : verdict;
        if (fate == WAIT) {
            return false;
        }
        loadedFrom = null;
        waiting = false;
        from.queue().complete(head, 0);
        if (fate == NO_FRAME) {
            return true;
        }
        frames++;
        frameBytes += chain.bytes() - from.queue().netHdrSize();
        if (fate != Element.PASS) {
            countDrop(fate);
        }
        return true;
    }

    /** Looks at the next chain and judges it, once, however long it then waits. */
    private boolean load(final Vring from) {
        final SplitVirtqueue queue = from.queue();
        head = queue.head(0);
        chain = queue.newChain();
        RingFault fault = queue.append(head);
        if (fault == null && chain.bytes() <= queue.netHdrSize()) {
            fault = RingFault.HEADER_SHORT;
        }
        if (fault == null) {
            verdict = judge(queue.netHdrSize());
        } else {
            source.faults[fault.ordinal()].add(1);
            if (fault.breaksRing()) {
                return false;
            }
            verdict = NO_FRAME;
        }
        loadedFrom = from;
        return true;
    }

    private int judge(final int netHdrSize) {
        final int gate = source.isTransmitqEnabled(pair) ? gate() : DropReason.DISABLED.ordinal();
        if (gate != Element.PASS || elements.length == 0) {
            return gate;
        }
        packet.load(chain.bytes() - netHdrSize);
        FrameCopy.gather(chain, netHdrSize, packet.address(), packet.snapshotLength());
        return judgeByElements(packet);
    }

    /** Whether frames may go this way at all now. */
    private int gate() {
        if (destination == null) {
            return DropReason.NO_PATH.ordinal();
        }
        for (final Port guard : guards) {
            if (!guard.isUp()) {
                return DropReason.VM_DOWN.ordinal();
            }
        }
        return Element.PASS;
    }

    private int judgeByElements(final Packet judged) {
        for (final Element element : elements) {
            final int elementVerdict = element.process(judged);
            if (elementVerdict != Element.PASS) {
                return elementVerdict;
            }
        }
        return Element.PASS;
    }

    private int deliver(final SplitVirtqueue from, final Vring to) {
        final int frameLength = chain.bytes() - from.netHdrSize();
        final int outcome = beginSending(to, frameLength);
        if (outcome != Element.PASS) {
            return outcome == DropReason.NO_BUFFER.ordinal() ? waitOrDrop() : outcome;
        }
        congested = false;
        if (elements.length == 0) {
            copy.put(chain, from.netHdrSize());
        } else {
            // The bytes that were judged, not those that the guest may have put in their place since.
            copy.put(packet.address(), packet.snapshotLength());
            copy.put(chain, from.netHdrSize() + packet.snapshotLength());
        }
        endSending(to, frameLength);
        return Element.PASS;
    }

    /** Sets receive buffers aside and writes the header; else says why not. */
    private int beginSending(final Vring to, final int frameLength) {
        if (to == null || to.queue().fault() != null) {
            return DropReason.DOWN.ordinal();
        }
        final int netHdrSize = to.queue().netHdrSize();
        final int outcome = buffers.reserve(to.queue(), netHdrSize + frameLength, destination);
        if (outcome != ReceiveBuffers.RESERVED) {
            return outcome;
        }
        copy.begin(buffers.chain());
        copy.putNetHdr(netHdrSize, buffers.count());
        return Element.PASS;
    }

    private void endSending(final Vring to, final int frameLength) {
        buffers.complete(to.queue(), to.queue().netHdrSize() + frameLength);
        sentFrames++;
        sentFrameBytes += frameLength;
    }

    private int waitOrDrop() {
        if (congested) {
            return DropReason.NO_BUFFER.ordinal();
        }
        final long now = System.nanoTime();
        if (!waiting) {
            waiting = true;
            waitingSince = now;
        }
        if (now - waitingSince < destination.waitNanos()) {
            return WAIT;
        }
        congested = true;
        return DropReason.NO_BUFFER.ordinal();
    }

    private void countDrop(final int reason) {
        switch (DropReason.of(reason)) {
            case DENIED, UNPARSABLE, VM_DOWN -> path.drops[reason].add(1);
            case NO_PATH, DISABLED -> source.drop(reason, 1);
            case NO_BUFFER, DOWN, TOO_BIG -> destination.drop(reason, 1);
        }
    }

    /**
     * Sends a frame of our own as if the source's driver had sent it, whether or not that runs. A command of the
     * worker's: between turns. Never waits for a buffer.
     *
     * @param frame at most {@link Packet#SNAPSHOT_SIZE} bytes
     */
    void inject(final byte[] frame) {
        injected.load(frame);
        final Vring to = destination == null ? null : destination.receiveqFor(pair);
        int fate = gate();
        if (fate == Element.PASS) {
            fate = judgeByElements(injected);
        }
        if (fate == Element.PASS) {
            fate = beginSending(to, frame.length);
        }
        frames++;
        frameBytes += frame.length;
        if (fate == Element.PASS) {
            copy.put(injected.address(), frame.length);
            endSending(to, frame.length);
        } else {
            countDrop(fate);
        }
        settle(source.transmitq(pair), to);
    }

    /** Adds up, then shows both drivers what was done: nobody sees a frame that is not counted yet. */
    private void settle(final Vring from, final Vring to) {
        if (frames != 0) {
            count();
        }
        if (to != null) {
            destination.calls.add(to.publishAndCall());
        }
        if (from != null) {
            source.calls.add(from.publishAndCall());
        }
    }

    private void count() {
        source.receivedPackets.add(frames);
        source.receivedBytes.add(frameBytes);
        if (path != null) {
            path.packets.add(frames);
            path.bytes.add(frameBytes);
        }
        if (sentFrames != 0) {
            destination.sentPackets.add(sentFrames);
            destination.sentBytes.add(sentFrameBytes);
        }
        frames = 0;
        frameBytes = 0;
        sentFrames = 0;
        sentFrameBytes = 0;
    }

    /** Whether a frame waits in the source ring for a receive buffer. */
    boolean isWaiting() {
        return waiting && source.transmitq(pair) != null;
    }

    /** Asks the source's driver to kick; true when there is something to do already. Before the worker sleeps. */
    boolean enableKicks() {
        final Vring from = source.transmitq(pair);
        return from != null && !suspended && from.queue().enableKicks() != 0 && !isWaiting();
    }

    /** Asks the source's driver not to kick. After the worker slept. */
    void suppressKicks() {
        final Vring from = source.transmitq(pair);
        if (from != null && !suspended) {
            from.queue().suppressKicks();
        }
    }

    /**
     * Stands still after a memory fault until {@link #resume}. Either end may have caused it; what was completed at the
     * healthy one is shown to its driver.
     */
    void suspend() {
        suspended = true;
        loadedFrom = null;
        final Vring from = source.transmitq(pair);
        final Vring to = destination == null ? null : destination.receiveqFor(pair);
        try {
            settle(from, to);
        } catch (final InternalError e) {
            // The faulty end once more. The port that it belongs to is about to be broken.
        }
    }

    void resume() {
        suspended = false;
    }
}

package org.mypervisor.offload;

import org.mypervisor.virtqueue.BufferBurst;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * The hot loop: moves frames from one transmitq through the elements of its path into a receiveq of the destination,
 * with one copy.
 *
 * <p>A frame is taken from its source ring only when its fate is known, so a burst that stops half way, for want of a
 * buffer or for a fault, loses and repeats nothing. Nothing here allocates, locks, logs or throws. The only system calls are
 * the one that notifies a driver that asked for it and those by which an interface's frames come and go, which do not block.
 *
 * <p>Owned by one worker thread, like the rings at both ends.
 */
final class Wire {
    /**
     * A turn that has so many frames does not go on one by one: such frames may be long and may be cut, and others wait. Those that
     * go together are up to {@link BufferBurst#MOST}.
     */
    private static final int MOST_ONE_BY_ONE = 32;

    /** The longest frame a driver can have: 64 KiB behind an Ethernet header with tags. */
    static final int MAX_FRAME = 65_589;

    /** Not a frame: a malformed chain, already counted. */
    private static final int NO_FRAME = -4;

    private final WireEnds ends;
    private final Port source;
    private final Path path;
    private final Element[] elements;
    private final Packet packet = new Packet();
    private final Delivery delivery;
    private final UnfinishedFrame unfinished;
    private final Burst burst;
    private final Patience patience;

    /** The ring whose next chain is loaded and judged below, or null when none is. */
    private BufferQueue loadedFrom;

    private BufferList chain;
    private int token;
    private int frameLength;
    private int verdict;
    /** The loaded frame leaves something to us or to its receiver. */
    private boolean isUnfinished;

    private int frames;
    private long frameBytes;
    private boolean suspended;

    /** Whether frames may pass, the same for all of a turn. */
    private int gate;

    /**
     * @param path null when the source has none: its frames are taken and dropped
     * @param elements of this queue alone
     * @param patience with the source's driver
     */
    Wire(final WireEnds ends, final Path path, final Element[] elements, final Patience patience) {
        this.ends = ends;
        this.source = ends.source();
        this.path = path;
        this.elements = elements;
        this.patience = patience;
        this.delivery = new Delivery(ends.destination(), ends.waitNanos());
        this.burst = new Burst(elements);
        this.unfinished = new UnfinishedFrame(ends.destination(), delivery);
    }

    /**
     * One turn.
     *
     * @param now as of {@link System#nanoTime}
     * @return chains taken, mostly frames
     */
    int forward(final long now) {
        final RunningQueue source = ends.from();
        if (source == null || suspended) {
            return 0;
        }
        // In locals all the way down, the compiler looks once at which of the two formats they have.
        final BufferQueue from = source.queue();
        final int count = from.available(BufferBurst.MOST);
        if (count == 0) {
            patience.foundNothing(now);
            return 0;
        }
        if (patience.holdsBack(from, now) || ends.isHeld(now)) {
            return 0;
        }
        final RunningQueue sink = ends.to();
        final BufferQueue to = sink == null ? null : sink.queue();
        if (to != null) {
            to.takeFrom(from);
        }
        gate = ends.gate();
        delivery.beginTurn();
        unfinished.beginTurn();
        final int done = forwardMost(from, to, count, now);
        settle(source, sink);
        return unfinished.hasProgress() ? Math.max(done, 1) : done;
    }

    private int forwardMost(final BufferQueue from, final BufferQueue to, final int most, final long now) {
        int done = 0;
        if (loadedFrom == from) {
            // It has waited. Those behind it may go many at once all the same.
            if (!forwardNext(from, to)) {
                return 0;
            }
            done = 1;
        }
        if (done < most && isUsual(from, to)) {
            done += forwardBurst(from, to, most - done);
            if (burst.hasTakenAll()) {
                // Going on one by one would be to follow a driver that is just writing: slower, and it slows the driver
                // down.
                patience.tookAll(done, now);
                return done;
            }
        }
        final int mostOneByOne = Math.min(most, MOST_ONE_BY_ONE);
        while (done < mostOneByOne && forwardNext(from, to)) {
            done++;
        }
        return done;
    }

    /** Whether frames may go many at once. */
    private boolean isUsual(final BufferQueue from, final BufferQueue to) {
        return gate == Element.PASS && to != null && from.burst() != null && to.burst() != null;
    }

    private int forwardBurst(final BufferQueue from, final BufferQueue to, final int most) {
        final int taken = burst.forward(from, to, most, source.hasHostOffloads());
        if (taken != 0) {
            count(taken);
        }
        return taken;
    }

    private void count(final int taken) {
        frames += taken;
        frameBytes += burst.takenBytes();
        delivery.sent(burst.sent(), burst.sentBytes());
        if (burst.sent() != taken) {
            countDrops(taken);
        }
        burst.close();
    }

    private void countDrops(final int taken) {
        for (int i = 0; i < taken; i++) {
            if (burst.verdict(i) != Element.PASS) {
                ends.countDrop(burst.verdict(i), path);
            }
        }
    }

    /** Takes the next frame to its end; false when it has to wait or the source ring broke. */
    private boolean forwardNext(final BufferQueue from, final BufferQueue to) {
        if (loadedFrom != from && !load(from)) {
            return false;
        }
        int fate = verdict;
        if (fate == Element.PASS) {
            fate = gate == Element.PASS ? deliver(from, to) : gate;
        }
        if (fate == Delivery.WAIT) {
            return false;
        }
        if (fate == UnfinishedFrame.REFUSED) {
            source.faults[RingFault.BAD_OFFLOAD.ordinal()].add(1);
            fate = NO_FRAME;
        }
        loadedFrom = null;
        from.complete(token, 0);
        if (fate != NO_FRAME) {
            frames++;
            frameBytes += frameLength;
            if (fate != Element.PASS) {
                ends.countDrop(fate, path);
            }
        }
        return true;
    }

    /** Looks at the next chain, if there is one, and judges it, once, however long it then waits. */
    private boolean load(final BufferQueue queue) {
        chain = queue.newChain();
        token = queue.append();
        RingFault fault = null;
        if (token >= 0) {
            fault = faultOf(queue.netHdrSize());
        } else if (token == BufferQueue.NONE || queue.fault() != null) {
            return false;
        } else {
            token = queue.malformedToken();
            fault = queue.appendFault();
        }
        if (fault == null) {
            delivery.newFrame();
            verdict = judge(queue.netHdrSize());
        } else {
            source.faults[fault.ordinal()].add(1);
            verdict = NO_FRAME;
        }
        loadedFrom = queue;
        return true;
    }

    private RingFault faultOf(final int netHdrSize) {
        frameLength = chain.bytes() - netHdrSize;
        if (frameLength <= 0) {
            return RingFault.HEADER_SHORT;
        }
        if (frameLength > MAX_FRAME) {
            return RingFault.CHAIN_TOO_LONG;
        }
        isUnfinished = source.hasHostOffloads() && unfinished.load(chain, netHdrSize);
        return isUnfinished && !unfinished.isValid(frameLength) ? RingFault.BAD_OFFLOAD : null;
    }

    private int judge(final int netHdrSize) {
        if (gate != Element.PASS || (elements.length == 0 && !isUnfinished)) {
            return gate;
        }
        packet.load(frameLength);
        FrameCopy.collect(chain, netHdrSize, packet.address(), packet.snapshotLength());
        if (isUnfinished && elements.length != 0 && !unfinished.settleJudged(chain, netHdrSize, packet)) {
            return UnfinishedFrame.REFUSED;
        }
        return judge(elements, packet);
    }

    /** {@link Element#PASS} if all elements say so, else the first other verdict. */
    private static int judge(final Element[] elements, final Packet judged) {
        for (final Element element : elements) {
            final int elementVerdict = element.process(judged);
            if (elementVerdict != Element.PASS) {
                return elementVerdict;
            }
        }
        return Element.PASS;
    }

    private int deliver(final BufferQueue from, final BufferQueue to) {
        if (isUnfinished) {
            return unfinished.deliver(chain, from.netHdrSize(), packet, to);
        }
        final int outcome = delivery.begin(to, frameLength);
        if (outcome != Delivery.READY) {
            return outcome;
        }
        final FrameCopy contents = delivery.contents();
        if (elements.length == 0) {
            contents.put(chain, from.netHdrSize());
        } else {
            // The bytes that were judged, not those that the guest may have put in their place since.
            contents.put(packet.address(), packet.snapshotLength());
            contents.put(chain, from.netHdrSize() + packet.snapshotLength());
        }
        delivery.end(to, frameLength);
        delivery.sent(frameLength);
        return Element.PASS;
    }

    /** Adds up, then shows both drivers what was done: nobody sees a frame that is not counted yet. */
    private void settle(final RunningQueue from, final RunningQueue to) {
        if (frames != 0) {
            source.receivedPackets.add(frames);
            source.receivedBytes.add(frameBytes);
            if (path != null) {
                path.packets.add(frames);
                path.bytes.add(frameBytes);
            }
            frames = 0;
            frameBytes = 0;
        }
        delivery.count();
        ends.publish(from, to);
    }

    /**
     * Sends a frame of our own as if the source's driver had sent it, whether or not that runs. A command of the
     * worker's: between turns. Never waits for a buffer.
     *
     * @param own where the frame is, all of it
     */
    void inject(final Packet own) {
        final RunningQueue sink = ends.to();
        final BufferQueue to = sink == null ? null : sink.queue();
        int fate = ends.gateWhateverTheSource();
        if (fate == Element.PASS) {
            fate = judge(elements, own);
        }
        if (fate == Element.PASS) {
            fate = delivery.begin(to, own.frameLength());
        }
        frames++;
        frameBytes += own.frameLength();
        if (fate == Delivery.READY) {
            delivery.contents().put(own.address(), own.frameLength());
            delivery.end(to, own.frameLength());
            delivery.sent(own.frameLength());
        } else {
            ends.countDrop(fate == Delivery.WAIT ? DropReason.NO_BUFFER.ordinal() : fate, path);
        }
        settle(ends.from(), sink);
    }

    /** Whether a frame waits in the source ring for a receive buffer. */
    boolean isWaiting() {
        final RunningQueue from = ends.from();
        return delivery.isWaiting() && from != null && loadedFrom == from.queue();
    }

    /** Asks the source's driver to kick; true when there is something to do already. Before the worker sleeps. */
    boolean enableKicks() {
        final RunningQueue from = ends.from();
        return from != null && !suspended && from.queue().enableKicks() && !isWaiting();
    }

    /** Asks the source's driver not to kick. After the worker slept. */
    void suppressKicks() {
        final RunningQueue from = ends.from();
        if (from != null && !suspended) {
            from.queue().suppressKicks();
        }
    }

    /** Stands still after a memory fault until {@link #resume}. Touches no guest memory: either end may be at fault. */
    void suspend() {
        suspended = true;
        loadedFrom = null;
        burst.interrupt();
    }

    /** Goes on, once the guilty port is broken. What was completed before the fault is shown to its drivers now. */
    void resume() {
        if (suspended) {
            suspended = false;
            final RunningQueue from = ends.from();
            final int arrived = burst.resume(from == null ? null : from.queue());
            if (arrived != 0) {
                count(arrived);
            }
            settle(from, ends.to());
        }
    }

    WireEnds ends() {
        return ends;
    }
}

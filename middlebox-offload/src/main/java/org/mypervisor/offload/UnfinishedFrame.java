package org.mypervisor.offload;

import org.mypervisor.offload.gso.GuestOffloads.Treatment;
import org.mypervisor.offload.gso.InternetChecksum;
import org.mypervisor.offload.gso.IpHeaders;
import org.mypervisor.offload.gso.OffloadRequest;
import org.mypervisor.offload.gso.Segmenter;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.VirtioNetHdr;

/**
 * The frame at the head of a wire if its driver left a checksum or segmentation to the device, virtio 1.2 §5.1.6.2: goes
 * on as it is where the receiver takes it so, else is copied to private memory once and finished there.
 *
 * <p>One instance per wire, owned by its worker.
 */
final class UnfinishedFrame {
    /** It cannot be finished: its header or its request is wrong. */
    static final int REFUSED = -3;

    /** Segments that go in one turn; a longer frame goes on in the next one, so that others wait no longer for it. */
    private static final int SEGMENTS_PER_TURN = 64;

    private enum State {
        /** Nothing was done; where it goes decides. */
        AS_SENT,
        /** The private copy has its checksum. */
        COMPLETE,
        /** The segmenter has it, and has prepared the next segment to go. */
        SEGMENTS
    }

    private final Port destination;
    private final Delivery delivery;
    private final OffloadRequest request = new OffloadRequest();
    private final Segmenter segmenter = new Segmenter();
    private final IpHeaders ip = new IpHeaders();
    private final long header = RawMemory.allocate(VirtioNetHdr.SIZE);
    private final long copy = RawMemory.allocate(Wire.MAX_FRAME);
    private State state;
    private int segmentsInTurn;

    UnfinishedFrame(final Port destination, final Delivery delivery) {
        this.destination = destination;
        this.delivery = delivery;
    }

    /** At the start of each turn. */
    void beginTurn() {
        segmentsInTurn = 0;
    }

    /** Whether segments went in this turn. */
    boolean hasProgress() {
        return segmentsInTurn != 0;
    }

    /**
     * Reads the header of the next frame.
     *
     * @return whether there is anything left to do
     */
    boolean load(final BufferList chain, final int netHdrSize) {
        FrameCopy.collect(chain, 0, header, netHdrSize);
        request.load(header);
        state = State.AS_SENT;
        return !request.isPlain();
    }

    /**
     * Makes sure that finishing the frame changes nothing that elements judge. Where its sender wants another field filled
     * than the checksum of its TCP or UDP header, that is done before they see it.
     *
     * @param packet the frame's first bytes; those of the finished frame afterwards
     * @return false when that cannot be
     */
    boolean settleJudged(final BufferList chain, final int netHdrSize, final Packet packet) {
        if (ip.parse(packet.address(), packet.snapshotLength(), packet.frameLength())
                && ip.isOwnChecksum(request.csumStart(), request.csumOffset())) {
            return true;
        }
        if (request.isGso()) {
            return false;
        }
        FrameCopy.collect(chain, netHdrSize, copy, packet.frameLength());
        complete(packet.frameLength());
        RawMemory.copy(copy, packet.address(), packet.snapshotLength());
        return true;
    }

    private void complete(final int frameLength) {
        InternetChecksum.complete(copy, request.csumStart(), request.csumOffset(), frameLength);
        state = State.COMPLETE;
    }

    /** Whether what is left to do is possible for a frame of this length. */
    boolean isValid(final int frameLength) {
        return request.isValid(frameLength);
    }

    /**
     * Brings the frame to its destination, or goes on with that.
     *
     * @param packet its first bytes, which were judged
     * @return as {@link Delivery#begin}, {@link Element#PASS} when it has gone, or {@link #REFUSED}
     */
    int deliver(final BufferList chain, final int netHdrSize, final Packet packet, final BufferQueue to) {
        if (state == State.AS_SENT) {
            final int outcome = deliverAsSent(chain, netHdrSize, packet, to);
            if (state == State.AS_SENT) {
                return outcome;
            }
        }
        return state == State.COMPLETE
                ? deliverCopy(packet.frameLength(), to)
                : deliverSegments(packet.frameLength(), to);
    }

    /** Passes the frame on; or prepares what has to be done instead, if that is possible, and moves on to that state. */
    private int deliverAsSent(final BufferList chain, final int netHdrSize, final Packet packet, final BufferQueue to) {
        final int frameLength = packet.frameLength();
        if (to == null) {
            return DropReason.DOWN.ordinal();
        }
        final Treatment treatment =
                destination.guestOffloads().treatment(request, packet.address(), packet.snapshotLength());
        if (treatment == Treatment.PASS) {
            final int outcome = delivery.begin(to, frameLength, request);
            if (outcome == Delivery.READY) {
                delivery.contents().put(packet.address(), packet.snapshotLength());
                delivery.contents().put(chain, netHdrSize + packet.snapshotLength());
                return end(frameLength, to);
            }
            if (outcome != DropReason.TOO_BIG.ordinal() || !request.isGso()) {
                return outcome;
            }
        }
        RawMemory.copy(packet.address(), copy, packet.snapshotLength());
        FrameCopy.collect(
                chain,
                netHdrSize + packet.snapshotLength(),
                copy + packet.snapshotLength(),
                frameLength - packet.snapshotLength());
        if (treatment == Treatment.COMPLETE_CSUM) {
            complete(frameLength);
        } else if (segmenter.begin(copy, frameLength, request)) {
            segmenter.next();
            state = State.SEGMENTS;
        }
        return REFUSED;
    }

    private int end(final int frameLength, final BufferQueue to) {
        delivery.end(to, frameLength);
        delivery.sent(frameLength);
        return Element.PASS;
    }

    private int deliverCopy(final int frameLength, final BufferQueue to) {
        final int outcome = delivery.begin(to, frameLength);
        if (outcome != Delivery.READY) {
            return outcome;
        }
        delivery.contents().put(copy, frameLength);
        final int fate = end(frameLength, to);
        to.detach(true);
        return fate;
    }

    /** Of a frame that is dropped half way, the segments that went stay where they are: TCP sends the others again. */
    private int deliverSegments(final int frameLength, final BufferQueue to) {
        final int before = segmentsInTurn;
        if (to != null) {
            // So that what is lost of them is not taken for segments of this one.
            to.detach(true);
        }
        final int fate = deliverMoreSegments(frameLength, to);
        if (segmentsInTurn != before) {
            // The next frame is copied to where the payload of these lies.
            to.detach(false);
        }
        return fate;
    }

    private int deliverMoreSegments(final int frameLength, final BufferQueue to) {
        do {
            if (segmentsInTurn == SEGMENTS_PER_TURN) {
                return Delivery.WAIT;
            }
            final int length = segmenter.headerLength() + segmenter.payloadLength();
            final int outcome = delivery.begin(to, length);
            if (outcome != Delivery.READY) {
                return outcome;
            }
            delivery.contents().put(segmenter.headerAddress(), segmenter.headerLength());
            delivery.contents().put(segmenter.payloadAddress(), segmenter.payloadLength());
            delivery.end(to, length);
            delivery.newFrame();
            segmentsInTurn++;
        } while (segmenter.next());
        delivery.sent(frameLength);
        return Element.PASS;
    }
}

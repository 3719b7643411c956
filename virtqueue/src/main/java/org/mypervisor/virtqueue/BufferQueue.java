package org.mypervisor.virtqueue;

/**
 * A queue of buffers with frames in them, or for frames: a {@link Virtqueue} in guest memory, or one end of an interface of
 * the host. Each frame has a virtio-net header in front, virtio 1.2 §5.1.6.
 *
 * <p>Buffers come in chains, which are completed in the order in which they were made available. {@link #newChain} goes
 * back to the first chain that is not completed, each {@link #append} looks at the next one and moves on, and
 * {@link #complete} takes the oldest of those looked at; the other side sees that at {@link #publish}. Looking changes
 * nothing, so a burst that is broken off half way leaves no trace. Who looks at a chain keeps its token for completing it:
 * what the queue has to know of it.
 *
 * <p>Owned by one worker thread, except {@link #fault}, which other threads may read. Nothing here allocates or throws once
 * the queue is made.
 */
public abstract class BufferQueue {
    /** There is no further chain. */
    public static final int NONE = -1;

    /** A chain that breaks the rules: {@link #appendFault}. */
    public static final int MALFORMED = -2;

    final int size;
    private final int netHdrSize;
    private final boolean mergeable;
    private final long features;
    private volatile RingFault fault;
    private RingFault malformed;
    private int malformedToken;

    /**
     * @param size most chains it can have, above 0
     * @param features virtio features by which its frames go
     */
    protected BufferQueue(final int size, final long features) {
        this.size = size;
        this.features = features;
        netHdrSize = VirtioNetHdr.size(features);
        mergeable = VirtioFeatures.has(features, VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF);
    }

    /** Most chains of the queue. */
    public final int size() {
        return size;
    }

    /** The virtio features by which its frames go. */
    public final long features() {
        return features;
    }

    /** Bytes of the virtio-net header in front of each frame. */
    public final int netHdrSize() {
        return netHdrSize;
    }

    /** Whether one frame may fill several buffers. */
    public final boolean isMergeable() {
        return mergeable;
    }

    /** Why the queue is broken, or null. A broken queue is left alone until it is set up again. */
    public final RingFault fault() {
        return fault;
    }

    /** Breaks the queue from outside, for instance when its memory went away. */
    public final void breakRing(final RingFault why) {
        fault = why;
    }

    /**
     * How many chains a turn may try to take: above 0 when there is one. A broken queue has none.
     *
     * @param most the answer's upper bound, above 0
     */
    public abstract int available(int most);

    /**
     * Whether at least so many chains seem to be there: a guess, for who may wait. True where one look does not tell.
     *
     * @param count 1 up to {@link #size}
     */
    public boolean isAvailable(final int count) {
        return true;
    }

    /** The list that {@link #look} fills, or null when this queue's chains have to be looked at one by one. */
    public BufferBurst burst() {
        return null;
    }

    /**
     * Looks at the next chains and notes in {@link #burst} those that are of the usual kind, up to the first that is not. Entries
     * behind those mean nothing. Changes nothing, and has nothing to do with the list of buffers of {@link #newChain}.
     *
     * @param most 0 up to {@link BufferBurst#MOST}
     * @return how many
     */
    public int look(final int most) {
        return 0;
    }

    /**
     * Completes the first so many of the chains just looked at, each filled as noted in {@link #burst}: as
     * {@link #complete}.
     */
    public void completeBurst(final int count) {}

    /** Goes back to the first chain that is not completed, and empties and returns the list of buffers. */
    public abstract BufferList newChain();

    /**
     * Looks at the next chain and adds its buffers to the list.
     *
     * @return its token, 0 or more; {@link #NONE} when there is no chain, or {@link #MALFORMED}
     */
    public abstract int append();

    /** What is wrong with the chain for which {@link #append} answered {@link #MALFORMED}; it may have broken the queue. */
    public final RingFault appendFault() {
        return malformed;
    }

    /** The token of that chain, if it did not break the queue: then it is completed like any other. */
    public final int malformedToken() {
        return malformedToken;
    }

    /** Notes a malformed chain for {@link #append} to answer. */
    protected final int malformed(final RingFault found, final int token) {
        malformed = found;
        malformedToken = token;
        if (found.breaksRing()) {
            fault = found;
        }
        return MALFORMED;
    }

    /**
     * Completes the oldest chain looked at. The other side does not see it before {@link #publish}.
     *
     * @param token of that chain
     * @param bytesWritten into its buffers; 0 where frames are taken from
     */
    public abstract void complete(int token, int bytesWritten);

    /** Shows the other side all that was completed, at once. */
    public abstract void publish();

    /**
     * From now on the memory from which completed buffers were filled may change. Before, a queue may still read it, up to
     * {@link #publish}; one that copies has nothing to do.
     *
     * @param whole whether the buffers completed since the last {@link #publish} or {@code detach} have whole frames; else they
     *     are segments of one that counts as sent, whatever becomes of them
     */
    public void detach(final boolean whole) {}

    /**
     * Up to the next {@link #publish}, what is completed here comes from that queue. For a queue that keeps more of a frame
     * than its bytes.
     */
    public void takeFrom(final BufferQueue source) {}

    /** Asks the other side not to wake us while we poll; nothing where it cannot be asked. */
    public void suppressKicks() {}

    /**
     * Asks the other side to wake us for the next chain, before we sleep.
     *
     * @return whether a chain is available all the same: then do not sleep
     */
    public boolean enableKicks() {
        return false;
    }

    /**
     * Whether every page of the queue's parts and of its chain's buffers can still be had, as it always can where they are not
     * a guest's memory. After a fault only.
     */
    public boolean isWhole(final MemoryProbe probe) {
        return true;
    }
}

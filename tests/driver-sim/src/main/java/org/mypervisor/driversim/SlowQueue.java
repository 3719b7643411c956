package org.mypervisor.driversim;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A reference device for one virtqueue, straight from virtio 1.2 and slow: every field is read where the text says so,
 * every chain becomes a list, nothing is kept between calls but the indices. For differential tests against a real
 * device and to try the driver alone. Owns no memory and signals nothing: {@link #publish} says whether a call is due.
 * For one thread.
 *
 * <p>Faults are of two kinds. What is wrong with a chain's contents (ranges, directions, sizes) is told in
 * {@link Taken#fault}; the chain is to be used with length 0. What is wrong with the ring (indices, links, indirect
 * flags and table lengths) raises {@link BrokenRing}.
 */
public abstract sealed class SlowQueue permits SlowDevice, SlowPackedDevice {
    /** The ring cannot be trusted any more until it is reset. */
    public static final class BrokenRing extends RuntimeException {
        private static final long serialVersionUID = 1;

        BrokenRing(final String message) {
            super(message);
        }
    }

    /**
     * One chain.
     *
     * @param head what {@link #use} wants to be told of it: index of the first descriptor, or buffer id
     * @param fault why the device must not look into it, or null
     */
    public record Taken(int head, List<Buffer> readable, List<Buffer> writable, String fault) {
        /** Bytes the device may write. */
        public long writableBytes() {
            return writable.stream().mapToLong(Buffer::length).sum();
        }
    }

    private final GuestMemory memory;
    private final int size;
    private final boolean indirectAllowed;

    SlowQueue(final GuestMemory memory, final int size, final long features) {
        this.memory = memory;
        this.size = size;
        indirectAllowed = (features >>> 28 & 1) != 0;
    }

    /**
     * The reference for a ring of this kind.
     *
     * @param base as in SET_VRING_BASE
     */
    public static SlowQueue of(final GuestMemory memory, final RingLayout layout, final long features, final int base) {
        return layout instanceof PackedLayout packed
                ? new SlowPackedDevice(memory, packed, features, base)
                : new SlowDevice(memory, (SplitLayout) layout, features, base);
    }

    /** Number for GET_VRING_BASE. */
    public abstract int base();

    /** Whether {@link #take} has a chain. */
    public abstract boolean hasAvailable();

    /** The next chain, or null. */
    public abstract Taken take();

    /** Puts the last {@code count} chains back, to be taken again. They must not have been used. */
    public abstract void giveBack(int count);

    /** Gives a chain back to the driver, which sees it after {@link #publish}. */
    public abstract void use(int head, long written);

    /** Shows the driver everything used, at once; returns whether a call is due. */
    public abstract boolean publish();

    /** Asks to be kicked at the next chain; {@link #hasAvailable} must be looked at again afterwards. */
    public abstract void enableKicks();

    /** Asks not to be kicked. */
    public abstract void suppressKicks();

    /** All bytes of the readable buffers. */
    public byte[] read(final Taken chain) {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (final Buffer buffer : chain.readable()) {
            bytes.writeBytes(memory.read(buffer.gpa(), (int) buffer.length()));
        }
        return bytes.toByteArray();
    }

    /** Writes into the writable buffers one after the other as far as they go; returns how many bytes fitted. */
    public int write(final Taken chain, final byte[] bytes, final int offset) {
        int done = 0;
        for (final Buffer buffer : chain.writable()) {
            final int run = (int) Math.min(buffer.length(), bytes.length - offset - done);
            memory.write(buffer.gpa(), bytes, offset + done, run);
            done += run;
        }
        return done;
    }

    /** The packets of all waiting transmitq chains, without their headers; faulty chains are used with length 0. */
    public List<byte[]> takeFrames(final int headerSize) {
        final List<byte[]> frames = new ArrayList<>();
        for (Taken chain = take(); chain != null; chain = take()) {
            final boolean good = chain.fault() == null && chain.writable().isEmpty();
            final byte[] packet = good ? read(chain) : new byte[0];
            if (packet.length > headerSize) {
                frames.add(Arrays.copyOfRange(packet, headerSize, packet.length));
            }
            use(chain.head(), 0);
        }
        return frames;
    }

    /**
     * Writes a frame behind a zero header into receive buffers, over several of them only if mergeable.
     *
     * @return false when there is no room; then nothing was taken, except chains that can never hold a packet
     */
    public boolean deliver(final byte[] frame, final int headerSize, final boolean mergeable) {
        final byte[] packet = new byte[headerSize + frame.length];
        System.arraycopy(frame, 0, packet, headerSize, frame.length);
        final List<Taken> chains = new ArrayList<>();
        long room = 0;
        while (room < packet.length) {
            final Taken chain = take();
            if (chain == null || !mergeable && !chains.isEmpty()) {
                giveBack(chains.size() + (chain == null ? 0 : 1));
                return false;
            }
            if (chain.fault() != null || !chain.readable().isEmpty() || chain.writableBytes() < headerSize) {
                giveBack(chains.size() + 1);
                dropNext(chains.size());
                return deliver(frame, headerSize, mergeable);
            }
            chains.add(chain);
            room += chain.writableBytes();
        }
        if (headerSize > 10) {
            packet[10] = (byte) chains.size();
            packet[11] = (byte) (chains.size() >> 8);
        }
        int written = 0;
        for (final Taken chain : chains) {
            final int part = write(chain, packet, written);
            use(chain.head(), part);
            written += part;
        }
        return true;
    }

    /** Uses {@code good} chains and the faulty one behind them with length 0. */
    private void dropNext(final int good) {
        for (int i = 0; i <= good; i++) {
            use(take().head(), 0);
        }
    }

    /** Entries of the table an indirect descriptor points to. */
    final long tableEntries(final Descriptor indirect) {
        final long entries = indirect.length() / 16;
        if (!indirectAllowed || indirect.has(1) || entries == 0 || indirect.length() % 16 != 0) {
            throw new BrokenRing("bad indirect " + indirect);
        }
        return entries;
    }

    final void add(final List<Descriptor> chain, final Descriptor descriptor) {
        if (chain.size() == size) {
            throw new BrokenRing("chain longer than the queue, or a loop");
        }
        chain.add(descriptor);
    }

    final Taken judge(final int head, final List<Descriptor> descriptors) {
        final List<Buffer> readable = new ArrayList<>();
        final List<Buffer> writable = new ArrayList<>();
        String fault = null;
        long total = 0;
        for (final Descriptor each : descriptors) {
            total += each.length();
            if (!memory.isMapped(each.gpa(), each.length())) {
                fault = "outside memory: " + each;
            } else if (each.has(2)) {
                writable.add(Buffer.writable(each.gpa(), each.length()));
            } else if (!writable.isEmpty()) {
                fault = "readable behind writable: " + each;
            } else {
                readable.add(Buffer.readable(each.gpa(), each.length()));
            }
        }
        return new Taken(head, readable, writable, total > 0xFFFF_FFFFL ? "more than 2^32 - 1 bytes" : fault);
    }
}

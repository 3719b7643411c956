package org.mypervisor.driversim;

import java.io.ByteArrayOutputStream;
import java.lang.invoke.VarHandle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A reference device for one split virtqueue, straight from virtio 1.2 §2.7 and slow: every field is read where the
 * text says so, every chain becomes a list, nothing is kept between calls but the indices. For differential tests
 * against a real device and to try the driver alone. Neither owns the memory nor signals: {@link #publish} says whether
 * a call is due. For one thread.
 *
 * <p>Faults are of two kinds. What is wrong with a chain's contents (ranges, directions, sizes) is told in
 * {@link Taken#fault}; the chain is to be used with length 0. What is wrong with the ring (indices, links, indirect
 * flags and table lengths) raises {@link BrokenRing}.
 */
public final class SlowDevice {
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
     * @param fault why the device must not look into it, or null
     */
    public record Taken(int head, List<Buffer> readable, List<Buffer> writable, String fault) {
        /** Bytes the device may write. */
        public long writableBytes() {
            return writable.stream().mapToLong(Buffer::length).sum();
        }
    }

    private record Descriptor(long gpa, long length, int flags, int next) {
        boolean has(final int flag) {
            return (flags & flag) != 0;
        }
    }

    private final GuestMemory memory;
    private final SplitLayout layout;
    private final boolean eventIdx;
    private final boolean indirectAllowed;
    private int availIdx;
    private int usedIdx;
    private int calledIdx;
    private boolean neverCalled = true;

    /** @param base free-running index to begin at, for both rings */
    public SlowDevice(final GuestMemory memory, final SplitLayout layout, final long features, final int base) {
        this.memory = memory;
        this.layout = layout;
        eventIdx = (features >>> 29 & 1) != 0;
        indirectAllowed = (features >>> 28 & 1) != 0;
        availIdx = base;
        usedIdx = base;
    }

    /** Index for GET_VRING_BASE. */
    public int base() {
        return availIdx;
    }

    /** Chains waiting. */
    public int available() {
        final int distance = memory.le16Acquire(layout.availGpa() + 2) - availIdx & 0xFFFF;
        if (distance > layout.size()) {
            throw new BrokenRing("avail.idx is " + distance + " ahead in a ring of " + layout.size());
        }
        return distance;
    }

    /** The next chain, or null. */
    public Taken take() {
        if (available() == 0) {
            return null;
        }
        final int slot = availIdx % layout.size();
        final int head = memory.le16(layout.availGpa() + 4 + 2L * slot);
        final Taken taken = walk(head);
        availIdx = availIdx + 1 & 0xFFFF;
        return taken;
    }

    /** Puts the last {@code count} chains back, to be taken again. They must not have been used. */
    public void giveBack(final int count) {
        availIdx = availIdx - count & 0xFFFF;
    }

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

    /** Writes a used element; the driver sees it after {@link #publish}. */
    public void use(final int head, final long written) {
        final long element = layout.usedGpa() + 4 + 8L * (usedIdx % layout.size());
        memory.putLe32(element, head);
        memory.putLe32(element + 4, written);
        usedIdx = usedIdx + 1 & 0xFFFF;
    }

    /** Shows the driver all used elements; returns whether a call is due, virtio 1.2 §2.7.7.2. */
    public boolean publish() {
        memory.putLe16Release(layout.usedGpa() + 2, usedIdx);
        // Pairs with the driver's fence between storing used_event or avail.flags and loading used.idx.
        VarHandle.fullFence();
        final int old = calledIdx;
        calledIdx = usedIdx;
        if (usedIdx == old) {
            return false;
        }
        if (!eventIdx) {
            return (memory.le16Acquire(layout.availGpa()) & 1) == 0;
        }
        final boolean first = neverCalled;
        neverCalled = false;
        final int event = memory.le16Acquire(layout.availGpa() + 4 + 2L * layout.size());
        return first || (usedIdx - event - 1 & 0xFFFF) < (usedIdx - old & 0xFFFF);
    }

    /** Asks to be kicked at the next chain; {@link #available} must be looked at again afterwards. */
    public void enableKicks() {
        memory.putLe16Release(layout.usedGpa(), 0);
        if (eventIdx) {
            memory.putLe16Release(layout.usedGpa() + 4 + 8L * layout.size(), availIdx);
        }
        // Pairs with the driver's fence between storing avail.idx and loading avail_event or used.flags.
        VarHandle.fullFence();
    }

    /** Asks not to be kicked. With EVENT_IDX it is enough to leave avail_event behind. */
    public void suppressKicks() {
        memory.putLe16Release(layout.usedGpa(), eventIdx ? 0 : 1);
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

    private Taken walk(final int head) {
        final List<Descriptor> buffers = new ArrayList<>();
        String fault = null;
        int index = head;
        for (boolean more = true; more; ) {
            final Descriptor descriptor = load(layout.descGpa(), layout.size(), index);
            if (descriptor.has(4)) {
                fault = walkTable(descriptor, buffers);
                break;
            }
            add(buffers, descriptor);
            more = descriptor.has(1);
            index = descriptor.next();
        }
        return fault == null ? judge(head, buffers) : new Taken(head, List.of(), List.of(), fault);
    }

    private String walkTable(final Descriptor indirect, final List<Descriptor> buffers) {
        final long entries = indirect.length() / 16;
        if (!indirectAllowed || indirect.has(1) || entries == 0 || indirect.length() % 16 != 0) {
            throw new BrokenRing("bad indirect descriptor " + indirect);
        }
        if (!memory.isMapped(indirect.gpa(), indirect.length())) {
            return "table outside memory: " + indirect;
        }
        int index = 0;
        for (boolean more = true; more; ) {
            final Descriptor descriptor = load(indirect.gpa(), entries, index);
            if (descriptor.has(4)) {
                throw new BrokenRing("nested " + descriptor);
            }
            add(buffers, descriptor);
            more = descriptor.has(1);
            index = descriptor.next();
        }
        return null;
    }

    private Descriptor load(final long table, final long entries, final int index) {
        if (index >= entries) {
            throw new BrokenRing("descriptor " + index + " of " + entries);
        }
        final long at = table + 16L * index;
        return new Descriptor(memory.le64(at), memory.le32(at + 8), memory.le16(at + 12), memory.le16(at + 14));
    }

    private void add(final List<Descriptor> buffers, final Descriptor descriptor) {
        if (buffers.size() == layout.size()) {
            throw new BrokenRing("chain longer than the queue, or a loop");
        }
        buffers.add(descriptor);
    }

    private Taken judge(final int head, final List<Descriptor> descriptors) {
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

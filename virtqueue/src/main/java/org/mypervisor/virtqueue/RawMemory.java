package org.mypervisor.virtqueue;

import java.lang.invoke.VarHandle;
import net.openhft.chronicle.core.Memory;
import net.openhft.chronicle.core.OS;

/**
 * The one class that touches memory outside the Java heap: guest memory, rings and private header snapshots.
 *
 * <p>Addresses are host virtual addresses. Nothing here checks them: they come from {@link GuestMemory}, which
 * translates a whole range or refuses, or from {@link #allocate}. An access to a mapped page whose file was cut short
 * raises {@link InternalError}, possibly a little later than the access itself; an access to an unmapped address ends
 * the process.
 *
 * <p>le16 values leave as {@code int} in 0..65535 and le32 values as {@code long} in 0..2^32-1. The host is
 * little-endian like the virtio 1.x rings, so {@code le} accessors are plain loads and {@code be} ones swap.
 * Any thread may call any method; ordering is in the method's name.
 */
public final class RawMemory {
    private static final Memory MEMORY = OS.memory();

    /**
     * Up to this many bytes inlined moves of 8 bytes beat the call into the JVM's copy stub.
     */
    private static final int SHORT_COPY_MAX = 192;

    private RawMemory() {}

    public static int u8(final long address) {
        return MEMORY.readByte(address) & 0xFF;
    }

    public static void putU8(final long address, final int value) {
        MEMORY.writeByte(address, (byte) value);
    }

    /**
     * Loads the aligned four bytes around an even address and cuts two out. A load from a page that is gone leaves
     * anything in its register; here the mask is really executed, so that the result is in 0..65535 even then.
     */
    public static int le16(final long address) {
        return MEMORY.readInt(address & -4) >>> (((int) address & 2) << 3) & 0xFFFF;
    }

    /**
     * As {@link #le16}, but after a load from a page that is gone any {@code int}, because the mask is part of the load.
     */
    static int le16Unmasked(final long address) {
        return MEMORY.readShort(address) & 0xFFFF;
    }

    public static void putLe16(final long address, final int value) {
        MEMORY.writeShort(address, (short) value);
    }

    public static long le32(final long address) {
        return MEMORY.readInt(address) & 0xFFFF_FFFFL;
    }

    public static void putLe32(final long address, final long value) {
        MEMORY.writeInt(address, (int) value);
    }

    public static long le64(final long address) {
        return MEMORY.readLong(address);
    }

    public static void putLe64(final long address, final long value) {
        MEMORY.writeLong(address, value);
    }

    public static int be16(final long address) {
        return Short.reverseBytes(MEMORY.readShort(address)) & 0xFFFF;
    }

    public static int be32(final long address) {
        return Integer.reverseBytes(MEMORY.readInt(address));
    }

    public static long be64(final long address) {
        return Long.reverseBytes(MEMORY.readLong(address));
    }

    /**
     * Load-acquire: no later access of this thread is done before it. Pairs with the driver's release of the same
     * field.
     */
    public static int le16Acquire(final long address) {
        return MEMORY.readVolatileShort(address) & 0xFFFF;
    }

    /** As {@link #le16Acquire}, of four aligned bytes. */
    public static long le32Acquire(final long address) {
        return MEMORY.readVolatileInt(address) & 0xFFFF_FFFFL;
    }

    /** As {@link #putLe16Release}, of four aligned bytes. */
    public static void putLe32Release(final long address, final long value) {
        VarHandle.releaseFence();
        MEMORY.writeInt(address, (int) value);
    }

    /** As {@link #le16Acquire}, of eight aligned bytes. */
    public static long le64Acquire(final long address) {
        return MEMORY.readVolatileLong(address);
    }

    /** As {@link #putLe16Release}, of eight aligned bytes. */
    public static void putLe64Release(final long address, final long value) {
        VarHandle.releaseFence();
        MEMORY.writeLong(address, value);
    }

    /**
     * Store-release: every earlier access of this thread is done before it. Pairs with the driver's acquire.
     */
    public static void putLe16Release(final long address, final int value) {
        VarHandle.releaseFence();
        MEMORY.writeShort(address, (short) value);
    }

    /**
     * No later access of this thread is done before an earlier load. Pairs with releases of what was loaded.
     */
    static void acquireFence() {
        VarHandle.acquireFence();
    }

    /**
     * Full fence: orders earlier stores before later loads, which no acquire or release does.
     */
    public static void fullFence() {
        VarHandle.fullFence();
    }

    /**
     * Copies {@code length} bytes; the ranges must not overlap. The last bytes may be copied twice, so that no branch
     * depends on the length's lowest bits.
     */
    public static void copy(final long from, final long to, final int length) {
        if (length > SHORT_COPY_MAX) {
            MEMORY.copyMemory(from, to, length);
            return;
        }
        if (length >= 32) {
            for (int done = 0; done < length - 32; done += 32) {
                copy32(from + done, to + done);
            }
            copy32(from + length - 32, to + length - 32);
        } else {
            copyTiny(from, to, length);
        }
    }

    private static void copy32(final long from, final long to) {
        final long first = MEMORY.readLong(from);
        final long second = MEMORY.readLong(from + 8);
        final long third = MEMORY.readLong(from + 16);
        final long fourth = MEMORY.readLong(from + 24);
        MEMORY.writeLong(to, first);
        MEMORY.writeLong(to + 8, second);
        MEMORY.writeLong(to + 16, third);
        MEMORY.writeLong(to + 24, fourth);
    }

    private static void copyTiny(final long from, final long to, final int length) {
        int done = 0;
        for (; done <= length - 8; done += 8) {
            MEMORY.writeLong(to + done, MEMORY.readLong(from + done));
        }
        if ((length & 4) != 0) {
            MEMORY.writeInt(to + done, MEMORY.readInt(from + done));
            done += 4;
        }
        if ((length & 2) != 0) {
            MEMORY.writeShort(to + done, MEMORY.readShort(from + done));
            done += 2;
        }
        if ((length & 1) != 0) {
            MEMORY.writeByte(to + done, MEMORY.readByte(from + done));
        }
    }

    /**
     * Memory of our own, zeroed, owned by the caller until {@link #free}.
     */
    public static long allocate(final int size) {
        final long address = MEMORY.allocate(size);
        MEMORY.setMemory(address, size, (byte) 0);
        return address;
    }

    public static void free(final long address, final int size) {
        MEMORY.freeMemory(address, size);
    }
}

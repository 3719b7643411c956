package org.mypervisor.driversim;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jnr.ffi.Pointer;

/**
 * Mapped guest memory, addressed by gpa: what the driver and the slow reference device read and write. This is the one
 * class of the module that touches shared memory. Ranges may cross adjacent regions; a range that leaves the regions
 * raises {@link IndexOutOfBoundsException}. Owns its mappings until {@link #close()}, never the file descriptors.
 * Reads and writes may come from several threads; {@link #map}, {@link #unmap} and {@link #close} may not run beside
 * them.
 *
 * <p>16-bit accessors need an even gpa; le16 leaves as an {@code int} in 0..65535, le32 as a {@code long}.
 */
public class GuestMemory implements AutoCloseable {
    private static final VarHandle LE16 = MethodHandles.byteBufferViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LE32 = MethodHandles.byteBufferViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LE64 = MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final Mapped NONE = new Mapped(new Region(0, 0, 0, 0), null, 0, ByteBuffer.allocate(0));

    private record Mapped(Region region, Pointer mapping, long mappingLength, ByteBuffer bytes) {}

    private Mapped[] mapped = new Mapped[0];
    private Mapped last = NONE;

    /**
     * Maps a region of an open file; the descriptor may be closed afterwards.
     *
     * @param fd file that holds the region at its mmap offset, which must be a multiple of the page size
     */
    public final void map(final Region region, final int fd) {
        final int size = Math.toIntExact(region.size());
        final Pointer mapping = Libc.map(fd, region.mmapOffset(), size);
        final Mapped[] more = Arrays.copyOf(mapped, mapped.length + 1);
        more[mapped.length] = new Mapped(region, mapping, size, Libc.view(mapping, size));
        mapped = more;
    }

    /** Unmaps a region that was mapped with exactly these values. */
    public final void unmap(final Region region) {
        final List<Mapped> kept = new ArrayList<>();
        for (final Mapped each : mapped) {
            if (each.region.equals(region)) {
                Libc.unmap(each.mapping, each.mappingLength);
            } else {
                kept.add(each);
            }
        }
        last = NONE;
        mapped = kept.toArray(new Mapped[0]);
    }

    /** The regions in the order in which they were mapped. */
    public final List<Region> regions() {
        final List<Region> regions = new ArrayList<>();
        for (final Mapped each : mapped) {
            regions.add(each.region);
        }
        return regions;
    }

    /** Whether every byte of the range is mapped, over however many adjacent regions. */
    public final boolean isMapped(final long gpa, final long length) {
        long at = gpa;
        long left = length;
        do {
            final Mapped here = find(at);
            if (here == null) {
                return false;
            }
            final long run = Math.min(left, here.region.endGpa() - at);
            at += run;
            left -= run;
        } while (left > 0);
        return left == 0;
    }

    /** Front-end virtual address of a guest physical one. */
    public final long uvaOf(final long gpa) {
        return gpa - at(gpa).region.gpa() + last.region.uva();
    }

    /** Guest physical address of a front-end virtual one. */
    public final long gpaOf(final long uva) {
        for (final Mapped each : mapped) {
            if (Long.compareUnsigned(uva - each.region.uva(), each.region.size()) < 0) {
                return uva - each.region.uva() + each.region.gpa();
            }
        }
        throw new IndexOutOfBoundsException("uva 0x" + Long.toHexString(uva) + " is in no region");
    }

    public final int u8(final long gpa) {
        final Mapped here = at(gpa);
        return here.bytes.get((int) (gpa - here.region.gpa())) & 0xFF;
    }

    public final void putU8(final long gpa, final int value) {
        final Mapped here = at(gpa);
        here.bytes.put((int) (gpa - here.region.gpa()), (byte) value);
    }

    public final int le16(final long gpa) {
        final Mapped here = at(gpa);
        return (short) LE16.get(here.bytes, (int) (gpa - here.region.gpa())) & 0xFFFF;
    }

    public final void putLe16(final long gpa, final int value) {
        final Mapped here = at(gpa);
        LE16.set(here.bytes, (int) (gpa - here.region.gpa()), (short) value);
    }

    /** Load-acquire; pairs with the other side's release of the same index or flags. */
    public final int le16Acquire(final long gpa) {
        final Mapped here = at(gpa);
        return (short) LE16.getAcquire(here.bytes, (int) (gpa - here.region.gpa())) & 0xFFFF;
    }

    /** Store-release; pairs with the other side's acquire of the same index or flags. */
    public final void putLe16Release(final long gpa, final int value) {
        final Mapped here = at(gpa);
        LE16.setRelease(here.bytes, (int) (gpa - here.region.gpa()), (short) value);
    }

    public final long le32(final long gpa) {
        final Mapped here = at(gpa);
        return (int) LE32.get(here.bytes, (int) (gpa - here.region.gpa())) & 0xFFFF_FFFFL;
    }

    public final void putLe32(final long gpa, final long value) {
        final Mapped here = at(gpa);
        LE32.set(here.bytes, (int) (gpa - here.region.gpa()), (int) value);
    }

    public final long le64(final long gpa) {
        final Mapped here = at(gpa);
        return (long) LE64.get(here.bytes, (int) (gpa - here.region.gpa()));
    }

    public final void putLe64(final long gpa, final long value) {
        final Mapped here = at(gpa);
        LE64.set(here.bytes, (int) (gpa - here.region.gpa()), value);
    }

    /** Copies guest memory into {@code target}; allocates nothing. */
    public final void read(final long gpa, final byte[] target, final int offset, final int length) {
        for (int done = 0; done < length; ) {
            final Mapped here = at(gpa + done);
            final int from = (int) (gpa + done - here.region.gpa());
            final int run = Math.min(length - done, here.bytes.capacity() - from);
            here.bytes.get(from, target, offset + done, run);
            done += run;
        }
    }

    /** Copies {@code source} into guest memory; allocates nothing. */
    public final void write(final long gpa, final byte[] source, final int offset, final int length) {
        for (int done = 0; done < length; ) {
            final Mapped here = at(gpa + done);
            final int to = (int) (gpa + done - here.region.gpa());
            final int run = Math.min(length - done, here.bytes.capacity() - to);
            here.bytes.put(to, source, offset + done, run);
            done += run;
        }
    }

    public final byte[] read(final long gpa, final int length) {
        final byte[] bytes = new byte[length];
        read(gpa, bytes, 0, length);
        return bytes;
    }

    public final void write(final long gpa, final byte[] source) {
        write(gpa, source, 0, source.length);
    }

    public final void fill(final long gpa, final int length, final int value) {
        final byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) value);
        write(gpa, bytes);
    }

    /** Unmaps every region. An access afterwards raises {@link IndexOutOfBoundsException}. */
    @Override
    public void close() {
        for (final Region region : regions()) {
            unmap(region);
        }
    }

    private Mapped at(final long gpa) {
        final Mapped here = find(gpa);
        if (here == null) {
            throw new IndexOutOfBoundsException("gpa 0x" + Long.toHexString(gpa) + " is in no region");
        }
        return here;
    }

    private Mapped find(final long gpa) {
        final Mapped cached = last;
        if (Long.compareUnsigned(gpa - cached.region.gpa(), cached.region.size()) < 0) {
            return cached;
        }
        for (final Mapped each : mapped) {
            if (Long.compareUnsigned(gpa - each.region.gpa(), each.region.size()) < 0) {
                last = each;
                return each;
            }
        }
        return null;
    }
}

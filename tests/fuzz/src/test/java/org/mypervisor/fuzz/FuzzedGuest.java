package org.mypervisor.fuzz;

import java.util.ArrayList;
import java.util.List;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.Region;
import org.mypervisor.virtqueue.GuestMemory;

/**
 * The guest whose rings {@link ChainFuzzTest} fills, mapped with guard pages around each region. Made on first use:
 * classes that are loaded before the fuzzer is ready are not guided by coverage.
 */
final class FuzzedGuest {
    /** A range of guest memory within one region. */
    record Piece(long gpa, long length) {}

    /** The last region ends where the address space does; the second begins where the first ends. */
    private static final long[] GPAS_AND_SIZES = {0, 0x2000, 0x2000, 0x1000, 0x10000, 0x3000, -0x1000, 0x1000};

    private static final byte[] ZEROS = new byte[0x3000];
    static final GuestMemoryFile MEMORY = GuestMemoryFile.ofGpas(GPAS_AND_SIZES);
    static final List<GuestMemory.Region> REGIONS = new ArrayList<>();
    static final GuestMemory HOST;

    static {
        for (final Region region : MEMORY.table()) {
            REGIONS.add(new GuestMemory.Region(
                    region.gpa(),
                    region.uva(),
                    region.size(),
                    GuardedPages.map(region.size(), MEMORY.fd(), region.mmapOffset())));
        }
        HOST = new GuestMemory(REGIONS);
    }

    static void clear() {
        REGIONS.forEach(region -> MEMORY.write(region.gpa(), ZEROS, 0, (int) region.size()));
    }

    private FuzzedGuest() {}

    /** Whether a part of a ring may lie there. */
    static boolean isRingPart(final long gpa, final long length, final int alignment) {
        return gpa % alignment == 0 && MEMORY.table().stream().anyMatch(region -> region.contains(gpa, length));
    }

    static long uva(final long gpa) {
        return MEMORY.isMapped(gpa, 1) ? MEMORY.uvaOf(gpa) : gpa;
    }

    static List<Piece> pieces(final List<Buffer> buffers) {
        final List<Piece> pieces = new ArrayList<>();
        for (final Buffer buffer : buffers) {
            long gpa = buffer.gpa();
            for (long left = buffer.length(); left > 0; ) {
                final long here = Math.min(left, toEndOfRegion(gpa));
                pieces.add(new Piece(gpa, here));
                gpa += here;
                left -= here;
            }
        }
        return pieces;
    }

    static long toEndOfRegion(final long gpa) {
        for (final Region region : MEMORY.table()) {
            if (region.contains(gpa, 1)) {
                return region.endGpa() - gpa;
            }
        }
        throw new AssertionError("the reference accepted gpa 0x" + Long.toHexString(gpa));
    }

    static long gpaOf(final long host, final long length) {
        for (final GuestMemory.Region region : REGIONS) {
            final long offset = host - region.host();
            if (Long.compareUnsigned(offset, region.size()) < 0 && length <= region.size() - offset) {
                return region.gpa() + offset;
            }
        }
        throw new AssertionError("a piece of " + length + " bytes lies outside guest memory");
    }

    /** Whether an indirect descriptor's table has a descriptor half in the next region. */
    static boolean isTableCut(final long desc) {
        final long table = MEMORY.le64(desc);
        final long length = MEMORY.le32(desc + 8);
        return table % 16 != 0 && MEMORY.table().stream().noneMatch(region -> region.contains(table, length));
    }
}

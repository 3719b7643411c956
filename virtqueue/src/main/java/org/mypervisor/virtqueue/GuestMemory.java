package org.mypervisor.virtqueue;

import java.util.List;

/**
 * The memory that a front-end shares with us, as an immutable set of mapped regions.
 *
 * <p>Two address spaces lead into it: descriptors hold guest-physical addresses ({@code gpa}), ring addresses are the
 * front-end's own virtual ones ({@code uva}). Translation takes a range, never an address alone, and is safe against
 * overflow. Whoever made the mappings keeps them until no queue uses this object any more.
 *
 * <p>Any thread may read it.
 */
public final class GuestMemory {
    /** What translations answer when the range is not wholly mapped. */
    public static final long UNMAPPED = -1;

    /**
     * One mapped region.
     *
     * @param gpa guest-physical address of its first byte
     * @param uva the front-end's virtual address of the same byte
     * @param size bytes, above 0
     * @param host our own virtual address of the same byte
     */
    public record Region(long gpa, long uva, long size, long host) {
        public Region {
            if (size <= 0 || overflows(gpa, size) || overflows(uva, size) || overflows(host, size)) {
                throw new IllegalArgumentException(
                        "region gpa=0x%x uva=0x%x size=0x%x does not fit its address space".formatted(gpa, uva, size));
            }
        }

        private static boolean overflows(final long start, final long size) {
            return Long.compareUnsigned(start + size - 1, start) < 0;
        }
    }

    private final long[] gpa;
    private final long[] uva;
    private final long[] size;
    private final long[] host;

    public GuestMemory(final List<Region> regions) {
        gpa = regions.stream().mapToLong(Region::gpa).toArray();
        uva = regions.stream().mapToLong(Region::uva).toArray();
        size = regions.stream().mapToLong(Region::size).toArray();
        host = regions.stream().mapToLong(Region::host).toArray();
    }

    /**
     * Host address of a guest-physical range that lies in one region.
     *
     * @param address guest-physical
     * @param length bytes, at least 0; a range of 0 bytes still needs a mapped address
     * @return the host address, or {@link #UNMAPPED}
     */
    public long translate(final long address, final long length) {
        return translate(gpa, address, length);
    }

    /** As {@link #translate(long, long)} for an address of the front-end's. */
    public long translateUva(final long address, final long length) {
        return translate(uva, address, length);
    }

    /**
     * Bytes from a guest-physical address to the end of its region, so that a buffer can be followed across regions.
     *
     * @return 0 when the address is in no region
     */
    public long contiguousFrom(final long address) {
        for (int i = 0; i < gpa.length; i++) {
            final long offset = address - gpa[i];
            if (Long.compareUnsigned(offset, size[i]) < 0) {
                return size[i] - offset;
            }
        }
        return 0;
    }

    /** Index of the region that an address is in, or -1. */
    int regionOf(final long address) {
        for (int i = 0; i < gpa.length; i++) {
            if (Long.compareUnsigned(address - gpa[i], size[i]) < 0) {
                return i;
            }
        }
        return -1;
    }

    long regionGpa(final int region) {
        return gpa[region];
    }

    long regionSize(final int region) {
        return size[region];
    }

    long regionHost(final int region) {
        return host[region];
    }

    private long translate(final long[] starts, final long address, final long length) {
        for (int i = 0; i < starts.length; i++) {
            // An address below the start becomes a huge unsigned offset, so one comparison covers both ends.
            final long offset = address - starts[i];
            if (Long.compareUnsigned(offset, size[i]) < 0 && Long.compareUnsigned(length, size[i] - offset) <= 0) {
                return host[i] + offset;
            }
        }
        return UNMAPPED;
    }
}

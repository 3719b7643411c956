package org.mypervisor.driversim;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Guest memory made of one memfd, as QEMU's {@code memory-backend-memfd,share=on} makes it, with the memory table that
 * describes it. The helpers choose gpa, uva and mmap offset all different, so that a back-end that mixes them up fails.
 * Owns the file and the mappings until {@link #close()}. Not thread-safe, except as {@link GuestMemory} says.
 */
public final class GuestMemoryFile extends GuestMemory {
    /** Distance of the first automatic uva from zero; not a multiple of any region size. */
    public static final long UVA_BASE = 0x7f12_3450_0000L;

    private static final long PAGE = 4096;
    private static final long EDGE = 65536;
    private static final long UVA_STEP = 0x1_0000_1000L;

    private final int fd;
    private final List<Region> table = new ArrayList<>();
    private final List<long[]> free = new ArrayList<>();
    private long fileSize;
    private boolean closed;

    /**
     * Makes a file just long enough for all regions. Regions may touch, leave holes, share file bytes and come in any
     * order.
     *
     * @param regions sizes and mmap offsets multiples of 4096
     */
    public GuestMemoryFile(final List<Region> regions) {
        this(regions, Libc.memfd("guest-memory", 0));
    }

    private GuestMemoryFile(final List<Region> regions, final int fd) {
        this.fd = fd;
        truncate(regions.stream()
                .mapToLong(region -> region.mmapOffset() + region.size())
                .max()
                .orElse(0));
        regions.forEach(this::register);
    }

    /** One region in a new file of that name, as {@code memory-backend-file} makes it; the file stays. */
    public static GuestMemoryFile inFile(final Path file, final long size) {
        return new GuestMemoryFile(List.of(new Region(0x10_0000, size, UVA_BASE, 0)), Libc.create(file.toString()));
    }

    /** Like QEMU's microvm: gpa 0 to 0xf0000, and the rest from 0x100000; {@code size} bytes in all. */
    public static GuestMemoryFile likeQemu(final long size) {
        return ofGpas(0, 0xf0000, 0x100000, size - 0x100000);
    }

    /** Like virtio-user: one region with gpa equal to uva, mmap offset 0. */
    public static GuestMemoryFile likeVirtioUser(final long size) {
        return new GuestMemoryFile(List.of(new Region(0x1_0000_0000L, size, 0x1_0000_0000L, 0)));
    }

    /**
     * Regions at the given guest physical places, with automatic uva and mmap offset, all different from the gpa and
     * not adjacent to each other even where the gpas are.
     *
     * @param gpasAndSizes gpa, size, gpa, size, …; in bytes, multiples of 4096
     */
    public static GuestMemoryFile ofGpas(final long... gpasAndSizes) {
        final List<Region> regions = new ArrayList<>();
        long offset = 0x3000;
        for (int i = 0; i < gpasAndSizes.length; i += 2) {
            final long uva = UVA_BASE + (i / 2) * UVA_STEP;
            regions.add(new Region(gpasAndSizes[i], gpasAndSizes[i + 1], uva, offset));
            offset += gpasAndSizes[i + 1] + 2 * PAGE;
        }
        return new GuestMemoryFile(regions);
    }

    /** The file's descriptor, owned by this object; give it to as many messages as needed. */
    public int fd() {
        return fd;
    }

    /** File size in bytes as this object last set it. */
    public long fileSize() {
        return fileSize;
    }

    /** The memory table to send, in order of addition. */
    public List<Region> table() {
        return List.copyOf(table);
    }

    /** One descriptor for each row of {@link #table()}. */
    public int[] tableFds() {
        return table.stream().mapToInt(region -> fd).toArray();
    }

    /** Adds a region at the end of the file, as memory hotplug does, and grows the file; returns its row. */
    public Region grow(final long gpa, final long size) {
        final Region region = new Region(gpa, size, UVA_BASE + table.size() * UVA_STEP, pageUp(fileSize) + PAGE);
        truncate(region.mmapOffset() + size);
        register(region);
        return region;
    }

    /** Takes a region out of the table and unmaps it here; its bytes stay in the file. */
    public void remove(final Region region) {
        table.remove(region);
        free.removeIf(range -> region.contains(range[0], 0));
        unmap(region);
    }

    /** Sets the file's size. Whoever touches a mapped page behind the end, here or in the back-end, gets a fault. */
    public void truncate(final long size) {
        Libc.truncate(fd, size);
        fileSize = size;
    }

    /** Gives back the pages under a range inside one region: they read as zero afterwards. */
    public void punchHole(final long gpa, final long length) {
        for (final Region region : table) {
            if (region.contains(gpa, length)) {
                Libc.punchHole(fd, region.mmapOffset() + gpa - region.gpa(), length);
                return;
            }
        }
        throw new IndexOutOfBoundsException("gpa 0x" + Long.toHexString(gpa) + " + " + length + " is in no region");
    }

    /**
     * Hands out memory that no earlier call handed out, zeroed unless the test wrote there; it is never given back.
     * The first region with room is used; 64 KiB at both ends of all but small regions are left to tests that place
     * buffers over a boundary.
     *
     * @param alignment in bytes, a power of two
     * @return gpa
     */
    public long allocate(final long size, final long alignment) {
        for (final long[] range : free) {
            final long gpa = (range[0] + alignment - 1) & -alignment;
            if (gpa + size <= range[1]) {
                range[0] = gpa + size;
                return gpa;
            }
        }
        throw new IllegalStateException("guest memory has no " + size + " free bytes in one region");
    }

    /** Unmaps and closes everything. */
    @Override
    public void close() {
        super.close();
        if (!closed) {
            closed = true;
            Libc.close(fd);
        }
    }

    private void register(final Region region) {
        map(region, fd);
        table.add(region);
        final long edge = region.size() < 8 * EDGE ? 0 : EDGE;
        free.add(new long[] {region.gpa() + edge, region.endGpa() - edge});
    }

    private static long pageUp(final long size) {
        return (size + PAGE - 1) & -PAGE;
    }
}

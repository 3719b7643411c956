package org.mypervisor.vhostuser;

import static org.mypervisor.vhostuser.Libc.LIBC;
import static org.mypervisor.vhostuser.Libc.POSIX_CALLS;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import jnr.ffi.Pointer;
import jnr.posix.FileStat;
import org.mypervisor.virtqueue.GuestMemory;
import org.mypervisor.virtqueue.RawMemory;

/**
 * The mappings behind one {@link GuestMemory}: vhost-user specification, section "Memory regions description".
 *
 * <p>Made and closed by the session thread; closing unmaps, so no worker may use the memory any more. Each region's
 * descriptor stays open in order to see when the front-end cuts its file short.
 */
final class MemoryTable implements AutoCloseable {
    private static final int MAX_REGIONS = 8;
    private static final int TABLE_HEADER_SIZE = 8;
    private static final int REGION_SIZE = 32;
    private static final long PAGE = 4096;

    /** All regions together; far more than any guest has, far less than would leave no address space for other ports. */
    private static final long MAX_BYTES = 4L << 40;

    private static final long FUSE_SUPER_MAGIC = 0x6573_5546;
    private static final long NFS_SUPER_MAGIC = 0x6969;
    private static final int STATFS_SIZE = 120;

    /** Identity of a mapped region: which bytes of which file lie where. */
    private record Region(long gpa, long uva, long size, long fileOffset, long device, long inode) {}

    private record Mapping(Region region, int fd, long address, long length, long offset) {}

    private final List<Mapping> mappings;
    private final GuestMemory memory;
    private final FileStat stat = POSIX_CALLS.allocateStat();

    private MemoryTable(final List<Mapping> mappings) {
        this.mappings = mappings;
        this.memory = new GuestMemory(mappings.stream()
                .map(m -> new GuestMemory.Region(m.region.gpa, m.region.uva, m.region.size, m.address + m.offset))
                .toList());
    }

    /**
     * Maps the regions of a SET_MEM_TABLE message, all or none, and takes its descriptors. May last as long as the
     * front-end wants.
     *
     * @param present the table in force, or null
     * @return {@code present} itself when the message describes it once more, else a new table
     */
    static MemoryTable map(final Message message, final MemoryTable present) throws ProtocolException {
        final List<Region> regions = parse(message);
        if (present != null
                && present.mappings.stream().map(Mapping::region).toList().equals(regions)) {
            return present;
        }
        final List<Mapping> mappings = new ArrayList<>();
        try {
            for (final Region region : regions) {
                mappings.add(map(region, message));
            }
            return new MemoryTable(List.copyOf(mappings));
        } catch (final ProtocolException e) {
            unmap(mappings);
            throw e;
        }
    }

    private static List<Region> parse(final Message message) throws ProtocolException {
        final ByteBuffer payload = message.payload;
        final long count = payload.remaining() < TABLE_HEADER_SIZE ? -1 : payload.getInt(0) & 0xFFFF_FFFFL;
        if (count < 0 || count > MAX_REGIONS) {
            throw refused("nregions=%d, must be at most %d", count, MAX_REGIONS);
        }
        if (payload.remaining() != TABLE_HEADER_SIZE + count * REGION_SIZE) {
            throw refused("size=%d does not fit %d regions", payload.remaining(), count);
        }
        if (message.fdCount() != count) {
            throw refused("%d descriptors for %d regions", message.fdCount(), count);
        }
        final List<Region> regions = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            final int at = TABLE_HEADER_SIZE + i * REGION_SIZE;
            checkFileSystem(message.peekFd(i), i);
            final FileStat stat = POSIX_CALLS.allocateStat();
            if (POSIX_CALLS.fstat(message.peekFd(i), stat) != 0) {
                throw refused("region %d: fstat: %s", i, POSIX_CALLS.strerror(POSIX_CALLS.errno()));
            }
            final Region region = new Region(
                    payload.getLong(at),
                    payload.getLong(at + 16),
                    payload.getLong(at + 8),
                    payload.getLong(at + 24),
                    stat.dev(),
                    stat.ino());
            check(region, i, stat);
            checkOverlap(region, regions, i);
            regions.add(region);
        }
        if (regions.stream().mapToLong(Region::size).sum() > MAX_BYTES) {
            throw refused("more than 0x%x bytes in all regions", MAX_BYTES);
        }
        return regions;
    }

    /**
     * A page of a file that another process serves may never come, and a worker would wait for it. The question itself
     * may wait for that process, so only the port's thread asks, without a lock, and nobody asks such a file again.
     */
    private static void checkFileSystem(final int fd, final int index) throws ProtocolException {
        final long statfs = RawMemory.allocate(STATFS_SIZE);
        try {
            final long type = LIBC.fstatfs(fd, statfs) == 0 ? RawMemory.le64(statfs) : 0;
            if (type == FUSE_SUPER_MAGIC || type == NFS_SUPER_MAGIC) {
                throw refused("region %d: its file is on a file system that another process or machine serves", index);
            }
        } finally {
            RawMemory.free(statfs, STATFS_SIZE);
        }
    }

    private static void check(final Region region, final int index, final FileStat stat) throws ProtocolException {
        if (!stat.isFile()) {
            throw refused("region %d: its descriptor is not a file in memory", index);
        }
        final long end = region.fileOffset + region.size;
        if (region.size <= 0 || region.size > MAX_BYTES || region.fileOffset < 0 || end < 0 || end > stat.st_size()) {
            throw refused(
                    "region %d: mmap_offset=0x%x size=0x%x, its file has 0x%x bytes",
                    index, region.fileOffset, region.size, stat.st_size());
        }
        if (wraps(region.gpa, region.size) || wraps(region.uva, region.size)) {
            throw refused("region %d: gpa=0x%x uva=0x%x overflow", index, region.gpa, region.uva);
        }
    }

    private static boolean wraps(final long start, final long size) {
        return Long.compareUnsigned(start + size - 1, start) < 0;
    }

    private static void checkOverlap(final Region region, final List<Region> others, final int index)
            throws ProtocolException {
        for (final Region other : others) {
            if (overlap(region.gpa, region.size, other.gpa, other.size)
                    || overlap(region.uva, region.size, other.uva, other.size)) {
                throw refused("region %d: gpa=0x%x size=0x%x overlaps an earlier one", index, region.gpa, region.size);
            }
        }
    }

    private static boolean overlap(final long a, final long aSize, final long b, final long bSize) {
        return Long.compareUnsigned(b - a, aSize) < 0 || Long.compareUnsigned(a - b, bSize) < 0;
    }

    /** Maps the region's pages and keeps the descriptor. */
    private static Mapping map(final Region region, final Message message) throws ProtocolException {
        final int fd = message.takeFd();
        final FileStat stat = POSIX_CALLS.allocateStat();
        POSIX_CALLS.fstat(fd, stat);
        // mmap and munmap want whole pages, huge ones on hugetlbfs; st_blksize is the page size there.
        final long page = Math.max(PAGE, stat.blockSize());
        final long start = region.fileOffset / page * page;
        final long length = (region.fileOffset - start + region.size + page - 1) / page * page;
        final Pointer address =
                LIBC.mmap(null, length, Libc.PROT_READ_WRITE, Libc.MAP_SHARED | Libc.MAP_NORESERVE, fd, start);
        if (address == null || address.address() == -1) {
            final String why = Libc.lastError();
            LIBC.close(fd);
            throw refused("mmap of 0x%x bytes: %s", length, why);
        }
        return new Mapping(region, fd, address.address(), length, region.fileOffset - start);
    }

    private static ProtocolException refused(final String format, final Object... args) {
        return new ProtocolException(FrontendRequest.SET_MEM_TABLE, format.formatted(args));
    }

    GuestMemory memory() {
        return memory;
    }

    int regions() {
        return mappings.size();
    }

    /** Bytes of guest memory shared with us. */
    long bytes() {
        return mappings.stream().mapToLong(m -> m.region.size).sum();
    }

    /** False once a file is shorter than what was mapped of it: accesses to the rest fault. One thread at a time. */
    boolean isWhole() {
        for (final Mapping mapping : mappings) {
            if (POSIX_CALLS.fstat(mapping.fd, stat) != 0
                    || stat.st_size() < mapping.region.fileOffset + mapping.region.size) {
                return false;
            }
        }
        return true;
    }

    @Override
    public void close() {
        unmap(mappings);
    }

    private static void unmap(final List<Mapping> mappings) {
        for (final Mapping mapping : mappings) {
            LIBC.munmap(mapping.address, mapping.length);
            LIBC.close(mapping.fd);
        }
    }
}

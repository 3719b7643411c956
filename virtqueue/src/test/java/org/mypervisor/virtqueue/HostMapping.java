package org.mypervisor.virtqueue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import jnr.ffi.Pointer;
import org.mypervisor.driversim.GuestMemoryFile;

/**
 * The regions of a simulated guest mapped once more, as a back-end maps what a front-end shares: the code under test and
 * the driver see the same bytes at different addresses. The mappings live as long as this object is reachable.
 */
final class HostMapping {
    private final List<MappedByteBuffer> mappings = new ArrayList<>();
    private final GuestMemory memory;

    HostMapping(final GuestMemoryFile file) {
        final List<GuestMemory.Region> regions = new ArrayList<>();
        for (final org.mypervisor.driversim.Region region : file.table()) {
            final MappedByteBuffer mapping = map(file.fd(), region.mmapOffset(), region.size());
            mappings.add(mapping);
            final long host =
                    Pointer.wrap(jnr.ffi.Runtime.getSystemRuntime(), mapping).address();
            regions.add(new GuestMemory.Region(region.gpa(), region.uva(), region.size(), host));
        }
        memory = new GuestMemory(regions);
    }

    private static MappedByteBuffer map(final int fd, final long offset, final long size) {
        try (FileChannel channel =
                FileChannel.open(Path.of("/proc/self/fd/" + fd), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            return channel.map(FileChannel.MapMode.READ_WRITE, offset, size);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    GuestMemory memory() {
        return memory;
    }
}

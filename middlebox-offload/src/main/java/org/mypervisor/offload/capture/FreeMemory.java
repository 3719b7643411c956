package org.mypervisor.offload.capture;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** How much memory may still be taken: a process that takes more would be killed, or another one instead. */
@FunctionalInterface
interface FreeMemory {
    /** The host's, as the kernel estimates it. */
    FreeMemory OF_HOST = FreeMemory::available;

    /** Bytes. */
    long bytes() throws IOException;

    private static long available() throws IOException {
        for (final String line : Files.readAllLines(Path.of("/proc/meminfo"))) {
            if (line.startsWith("MemAvailable:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
            }
        }
        // A kernel that does not say.
        return Long.MAX_VALUE;
    }
}

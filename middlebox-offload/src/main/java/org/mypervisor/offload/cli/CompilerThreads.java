package org.mypervisor.offload.cli;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.mypervisor.vhostuser.Libc;

/**
 * The threads of the JVM that compile. The launcher has them start with a nice value, so that a start has the CPUs to itself;
 * the packet way wants to be compiled soon.
 */
final class CompilerThreads {
    private static final Path THREADS = Path.of("/proc/self/task");
    private static final String NAME = "C[12] CompilerThre.*";

    private CompilerThreads() {}

    /** Has no effect where the system does not allow it. */
    static void endNice() {
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(THREADS, CompilerThreads::compiles)) {
            for (final Path thread : threads) {
                LIBC.setpriority(
                        Libc.PRIO_PROCESS, Integer.parseInt(thread.getFileName().toString()), 0);
            }
        } catch (final IOException e) {
            // They stay nice: the packet way is compiled a little later.
        }
    }

    private static boolean compiles(final Path thread) {
        try {
            return Files.readString(thread.resolve("comm")).strip().matches(NAME);
        } catch (final IOException e) {
            // It has just ended.
            return false;
        }
    }
}

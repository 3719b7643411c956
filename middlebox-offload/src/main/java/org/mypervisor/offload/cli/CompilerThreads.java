package org.mypervisor.offload.cli;

import static org.mypervisor.vhostuser.Libc.LIBC;
import static org.mypervisor.vhostuser.Libc.PRIO_PROCESS;

import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The threads of the JVM that compile, setpriority(2). The launcher starts them nice, so that they do not take the CPUs from a start,
 * for which guests wait; the packet way wants to be compiled soon. Any thread.
 */
final class CompilerThreads {
    private static final int CALLING_THREAD = 0;
    private static final Path THREADS = Path.of("/proc/self/task");
    private static final String NAME = "C[12] CompilerThre.*";

    private CompilerThreads() {}

    /** From now on they have the priority of the calling thread. */
    static void endNice() {
        final int own = LIBC.getpriority(PRIO_PROCESS, CALLING_THREAD);
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(THREADS, CompilerThreads::compiles)) {
            for (final Path thread : threads) {
                LIBC.setpriority(
                        PRIO_PROCESS, Integer.parseInt(thread.getFileName().toString()), own);
            }
        } catch (final IOException | DirectoryIteratorException e) {
            // Then the packet way is compiled a little later.
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

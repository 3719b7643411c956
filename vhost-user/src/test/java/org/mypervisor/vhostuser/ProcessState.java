package org.mypervisor.vhostuser;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * What this process holds that a front-end could make it leak: descriptors of the kinds that come with messages, and
 * mappings of guest memory. Files that the JVM opens by itself are not counted.
 */
record ProcessState(long fds, long mappings) {
    private static final List<String> KINDS = List.of("socket:", "pipe:", "anon_inode:", "/memfd:", "/dev/null");

    static ProcessState now() {
        try (Stream<Path> fds = Files.list(Path.of("/proc/self/fd"));
                Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            return new ProcessState(
                    fds.filter(ProcessState::isCounted).count(),
                    maps.filter(line -> line.contains("memfd:guest-memory")).count());
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static boolean isCounted(final Path fd) {
        try {
            final String target = Files.readSymbolicLink(fd).toString();
            return KINDS.stream().anyMatch(target::startsWith);
        } catch (final IOException e) {
            // The descriptor that lists the folder is gone by now.
            return false;
        }
    }

    /** Waits for the session thread to clean up, then fails the test if anything is left or missing. */
    void awaitSame() {
        TestPort.await(
                () -> equals(now()), () -> "as many descriptors and mappings as before, " + this + ", now " + now());
    }
}

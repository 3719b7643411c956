package org.mypervisor.fuzz;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * What this process holds that a front-end could make it leak: descriptors of the kinds that come with messages, and
 * mappings of guest memory.
 */
record HeldResources(Set<String> fds, int mappings) {
    /** Beginnings of what /proc/self/fd says of a descriptor that did not come from the JVM itself. */
    private static final List<String> KINDS =
            List.of("socket:", "pipe:", "anon_inode:", "/memfd:", "/dev/null", "/etc/passwd");

    private static final long PATIENCE_NANOS = 2_000_000_000L;
    private static final String GUEST_MEMORY = "/memfd:guest-memory";

    static HeldResources now() {
        return new HeldResources(Set.of(Path.of("/proc/self/fd").toFile().list()), mappedRegions());
    }

    private static int mappedRegions() {
        final String maps;
        try (FileInputStream in = new FileInputStream("/proc/self/maps")) {
            maps = new String(in.readAllBytes(), StandardCharsets.ISO_8859_1);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        int count = 0;
        for (int at = maps.indexOf(GUEST_MEMORY); at >= 0; at = maps.indexOf(GUEST_MEMORY, at + 1)) {
            count++;
        }
        return count;
    }

    /**
     * Fails when something was left behind since then. Files that the JVM opened for itself are none of that, and closing
     * a socket ends its connection some time before its descriptor is gone.
     *
     * @return what is held now, to compare with next time
     */
    HeldResources checkNothingLeftBehind() {
        final long deadline = System.nanoTime() + PATIENCE_NANOS;
        HeldResources present = now();
        while (!present.isNoMoreThan(this)) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("left open: " + present.moreThan(this) + "; regions mapped: "
                        + present.mappings + " after " + mappings);
            }
            Thread.yield();
            present = now();
        }
        return present;
    }

    private boolean isNoMoreThan(final HeldResources before) {
        return mappings == before.mappings && moreThan(before).isEmpty();
    }

    private List<String> moreThan(final HeldResources before) {
        return fds.stream()
                .filter(fd -> !before.fds.contains(fd))
                .map(HeldResources::target)
                .filter(target -> KINDS.stream().anyMatch(target::startsWith))
                .toList();
    }

    private static String target(final String fd) {
        try {
            return Files.readSymbolicLink(Path.of("/proc/self/fd", fd)).toString();
        } catch (final IOException e) {
            // The descriptor that lists the folder, closed by now.
            return "";
        }
    }
}

package org.mypervisor.offload;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * For how long threads of this process could have run and got no CPU, by the kernel's own count: what a busy machine
 * holds up is not what is tested.
 */
final class CpuWait implements AutoCloseable {
    private static final Path TASKS = Path.of("/proc/self/task");

    private final List<FileChannel> schedstats = new ArrayList<>();
    private final ByteBuffer text = ByteBuffer.allocate(128);

    /** @param names of threads that run already; of several with one name, the one that began last */
    CpuWait(final Set<String> names) {
        final Map<String, Integer> newest = new HashMap<>();
        try (Stream<Path> tasks = Files.list(TASKS)) {
            for (final Path task : (Iterable<Path>) tasks::iterator) {
                name(task)
                        .filter(names::contains)
                        .ifPresent(name -> newest.merge(
                                name, Integer.valueOf(task.getFileName().toString()), Math::max));
            }
            for (final String name : names) {
                schedstats.add(FileChannel.open(TASKS.resolve(newest.get(name) + "/schedstat")));
            }
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Optional<String> name(final Path task) {
        try {
            return Optional.of(Files.readString(task.resolve("comm")).strip());
        } catch (final IOException e) {
            // It has just ended.
            return Optional.empty();
        }
    }

    /** All of them together since they began. */
    long nanos() {
        long sum = 0;
        try {
            for (final FileChannel schedstat : schedstats) {
                // Nanoseconds on a CPU, nanoseconds waiting for one, number of turns.
                final int length = schedstat.read(text.clear(), 0);
                sum += Long.parseLong(new String(text.array(), 0, length, StandardCharsets.US_ASCII).split(" ")[1]);
            }
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        return sum;
    }

    @Override
    public void close() {
        try {
            for (final FileChannel schedstat : schedstats) {
                schedstat.close();
            }
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

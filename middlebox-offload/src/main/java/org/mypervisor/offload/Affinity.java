package org.mypervisor.offload;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.BitSet;
import org.mypervisor.virtqueue.RawMemory;

/** Which CPUs threads may run on, sched_setaffinity(2). Thread 0 stands for the calling one. */
final class Affinity {
    private static final int MASK_BYTES = 128;
    private static final int CALLING_THREAD = 0;

    private Affinity() {}

    /** The CPUs that the calling thread may use. */
    static BitSet allowedCpus() {
        final long mask = RawMemory.allocate(MASK_BYTES);
        try {
            LIBC.sched_getaffinity(CALLING_THREAD, MASK_BYTES, mask);
            final long[] words = new long[MASK_BYTES / Long.BYTES];
            for (int i = 0; i < words.length; i++) {
                words[i] = RawMemory.le64(mask + (long) i * Long.BYTES);
            }
            return BitSet.valueOf(words);
        } finally {
            RawMemory.free(mask, MASK_BYTES);
        }
    }

    /** False when the system refuses. */
    static boolean pinCurrentThread(final int cpu) {
        final BitSet cpus = new BitSet();
        cpus.set(cpu);
        return set(CALLING_THREAD, cpus);
    }

    /**
     * Keeps every thread of this process, also those of the JVM itself and those started later, off some CPUs; has no
     * effect when no other CPU is left.
     */
    static void keepOff(final BitSet cpus) throws IOException {
        final BitSet others = allowedCpus();
        others.andNot(cpus);
        if (others.isEmpty()) {
            return;
        }
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (final Path thread : threads) {
                set(Integer.parseInt(thread.getFileName().toString()), others);
            }
        }
    }

    private static boolean set(final int thread, final BitSet cpus) {
        final long mask = RawMemory.allocate(MASK_BYTES);
        try {
            final long[] words = cpus.toLongArray();
            for (int i = 0; i < words.length; i++) {
                RawMemory.putLe64(mask + (long) i * Long.BYTES, words[i]);
            }
            return LIBC.sched_setaffinity(thread, MASK_BYTES, mask) == 0;
        } finally {
            RawMemory.free(mask, MASK_BYTES);
        }
    }
}

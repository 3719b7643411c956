package org.mypervisor.offload;

import java.util.BitSet;
import java.util.List;

/**
 * How the packet way runs.
 *
 * @param busyPoll never sleep, for CPUs that have nothing else to do
 * @param cpus one pinned worker for each; empty for a single worker that may run anywhere
 */
public record BackendOptions(boolean busyPoll, List<Integer> cpus) {
    /** CPUs that workers may be pinned to. */
    public static BitSet allowedCpus() {
        return Affinity.allowedCpus();
    }
}

package org.mypervisor.integration;

import java.io.IOException;
import java.nio.file.Path;

/** dpdk-testpmd with two virtio-user ports, in its generating mode. */
final class Testpmd {
    static final int RING_SIZE = 1024;
    static final int FLOWS = 1024;

    /** Destinations are 10.253.0.0 and the 1,023 addresses behind it. */
    static final String FIRST_EIGHTH_OF_FLOWS = "10.253.0.0/25";

    private Testpmd() {}

    /** What the generator counted over both ports. */
    record Totals(long transmitted, long received) {}

    /** Why it cannot run here, or null. */
    static String missing() {
        if (!Programs.exists("dpdk-testpmd")) {
            return "dpdk-testpmd is not installed; qemu-scripts/install.sh --with-testpmd installs it";
        }
        return Runtime.getRuntime().availableProcessors() < 2
                ? "the generator and the back-end need a CPU each, this machine has one"
                : null;
    }

    /** How long to generate; {@code -Dtestpmd.seconds=60} for the long form. */
    static int seconds() {
        return Integer.getInteger("testpmd.seconds", 5);
    }

    /** The generator runs on CPU 0. */
    static String backendCpu() {
        return "1";
    }

    /** Runs it against two sockets that a back-end serves. */
    static Totals generate(final Path folder, final Path a, final Path b, final int seconds)
            throws IOException, InterruptedException {
        return new TestpmdSetup().generate(folder, a, b, () -> Thread.sleep(seconds * 1000L), 0);
    }
}

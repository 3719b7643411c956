package org.mypervisor.offload.host;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Collectors;

/** What the kernel lets this process do with XDP sockets and programs, capabilities(7). */
enum Capability {
    NET_ADMIN(12),
    NET_RAW(13),
    SYS_ADMIN(21),
    /** Linux 5.8. */
    BPF(39);

    private static final String LINE = "CapEff:";

    private final int bit;

    Capability(final int bit) {
        this.bit = bit;
    }

    /** Those of them that this process lacks, as CAP_NAME, with commas; empty when there are none. */
    static String missing(final Capability... needed) {
        final long effective = effective();
        return Arrays.stream(needed)
                .filter(capability -> !capability.isIn(effective))
                .map(capability -> "CAP_" + capability)
                .collect(Collectors.joining(", "));
    }

    /** For programs SYS_ADMIN does instead of the two others. */
    private boolean isIn(final long set) {
        return (set >>> bit & 1) != 0 || (this == BPF || this == NET_ADMIN) && SYS_ADMIN.isIn(set);
    }

    private static long effective() {
        try {
            return Files.readAllLines(Path.of("/proc/self/status")).stream()
                    .filter(line -> line.startsWith(LINE))
                    .mapToLong(line ->
                            Long.parseUnsignedLong(line.substring(LINE.length()).trim(), 16))
                    .findFirst()
                    .orElse(0);
        } catch (final IOException e) {
            return 0;
        }
    }
}

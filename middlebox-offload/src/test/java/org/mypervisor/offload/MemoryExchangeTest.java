package org.mypervisor.offload;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.Region;

/** QEMU sends another memory table while rings run, at each hot-plug and when a PCI region moves. */
@Timeout(60)
final class MemoryExchangeTest {
    private static final int EXCHANGES = 200;
    private static final Duration FOR_ALL_EXCHANGES = Duration.ofSeconds(1);
    private static final long PLUGGED_AT = 0x40_0000_0000L;
    private static final long PLUGGED = 64 << 20;

    @TempDir
    private Path folder;

    @ParameterizedTest
    @EnumSource
    void shouldLoseNoFrameWhenMemoryIsExchanged(final Rings rings) {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                // Here they are no bystanders: their frames have to wait while the rings move.
                Bystanders traffic = new Bystanders(backend, rings).allow(FOR_ALL_EXCHANGES)) {
            final Frontend frontend = traffic.c().frontend();
            final GuestMemoryFile memory = traffic.c().memory();
            memory.grow(PLUGGED_AT, PLUGGED);
            final List<Region> more = memory.table();
            final List<Region> less = more.subList(0, more.size() - 1);
            for (int i = 0; i < EXCHANGES; i++) {
                final List<Region> table = i % 2 == 0 ? more : less;
                frontend.mustAck(() -> frontend.setMemTable(
                        table, table.stream().mapToInt(region -> memory.fd()).toArray()));
            }
            traffic.awaitMore();
        }
    }
}

package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.NetPump;

/** In steady state the worker's thread allocates nothing at all. */
final class AllocationGateTest {
    private static final int MILLION = 1_000_000;
    private static final int WARM_UP = 200_000;
    private static final int BURST = 64;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @TempDir
    private Path folder;

    /** Moves so many frames from one driver to the other. */
    private interface Traffic {
        void move(NetDriver from, NetDriver to, int frames);
    }

    private long allocatedOver(
            final String path, final boolean busyPoll, final int warmUp, final int frames, final Traffic traffic) {
        try (RunningBackend backend = RunningBackend.withPaths(folder, busyPoll, List.of("a", "b"), path);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
            traffic.move(a, b, warmUp);
            final long worker = RunningBackend.workerThreadId();
            final long before = THREADS.getThreadAllocatedBytes(worker);
            traffic.move(a, b, frames);
            final long allocated = THREADS.getThreadAllocatedBytes(worker) - before;
            assertTrue(backend.port("a").received().packets() >= frames, "the frames were really moved");
            return allocated;
        }
    }

    /** As fast as it goes, kicks and calls suppressed. */
    private static void pump(final NetDriver from, final NetDriver to, final int frames) {
        final NetPump source = new NetPump(from, udp());
        final NetPump sink = new NetPump(to, udp());
        while (source.completed() < frames) {
            source.transmitBurst(BURST);
            sink.receiveBurst(BURST);
        }
    }

    /** Each frame wakes the worker from its sleep, and both drivers want to be called. */
    private static void oneByOne(final NetDriver from, final NetDriver to, final int frames) {
        final NetPump source = new NetPump(from, udp());
        final NetPump sink = new NetPump(to, udp());
        for (int i = 0; i < frames; i++) {
            from.transmitq().enableInterrupts();
            to.receiveq().enableInterrupts();
            final long want = sink.received() + 1;
            source.transmitBurst(1);
            while (sink.received() < want) {
                sink.receiveBurst(1);
                Thread.onSpinWait();
            }
            if (i % 16 == 0) {
                sleepBriefly();
            }
        }
    }

    private static void sleepBriefly() {
        try {
            Thread.sleep(0, 100_000);
        } catch (final InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] udp() {
        final byte[] frame = new byte[60];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[17] = 46;
        frame[23] = 17;
        frame[26] = 10;
        frame[30] = 10;
        frame[37] = 53;
        return frame;
    }

    @Test
    void shouldAllocateNothingOverAMillionPacketsOfTheWire() {
        assertEquals(0, allocatedOver("a -> b", true, WARM_UP, MILLION, AllocationGateTest::pump));
    }

    @Test
    void shouldAllocateNothingOverAMillionPacketsOfTheFilter() throws IOException {
        final Path rules = Files.writeString(
                folder.resolve("acl.rules"),
                "deny tcp from any to any port 80\ndeny icmp from any to 10.0.0.7\nallow udp from any to any port 53\n"
                        + "deny ip6 from 2001:db8::/32 to any\ndefault deny\n");
        final String path = "a -> count -> filter(rules=" + rules + ") -> b";
        assertEquals(0, allocatedOver(path, true, WARM_UP, MILLION, AllocationGateTest::pump));
    }

    @Test
    void shouldAllocateNothingOverAMillionPacketsInAdaptiveMode() {
        assertEquals(0, allocatedOver("a -> b", false, WARM_UP, MILLION, AllocationGateTest::pump));
    }

    @Test
    void shouldAllocateNothingWhenItSleepsAndNotifies() {
        assertEquals(0, allocatedOver("a -> b", false, 30_000, 100_000, AllocationGateTest::oneByOne));
    }
}

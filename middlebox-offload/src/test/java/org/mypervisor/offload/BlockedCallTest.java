package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/** A front-end that fills its call eventfds, and makes them blocking, again and again: what it costs others in sum. */
@Timeout(60)
final class BlockedCallTest {
    private static final long CAMPAIGN_NANOS = Duration.ofSeconds(4).toNanos();
    private static final long STALL_NANOS = 5_000_000;
    private static final Duration LOST = Duration.ofSeconds(10);
    private static final byte[] FRAME = new byte[60];

    @TempDir
    private Path folder;

    @Test
    void safety_rule_callsThatBlockAgainAndAgainHoldNobodyUpInSum() throws InterruptedException {
        final int full = Libc.LIBC.eventfd(0, Libc.EFD_CLOEXEC);
        fill(full);
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                NetDriver c = backend.guest("c", LIKE_QEMU, NetOptions.defaults());
                NetDriver d = backend.guest("d", LIKE_QEMU, NetOptions.defaults())) {
            final long before = stalls(c, d);
            final Thread campaign = new Thread(() -> blockAgainAndAgain(backend, full));
            campaign.start();
            final long during = stalls(c, d);
            campaign.join();
            final String figures =
                    "stalls of more than 5 ms: %d ms before, %d ms while calls were blocked, of %d ms each"
                            .formatted(before / 1_000_000, during / 1_000_000, CAMPAIGN_NANOS / 1_000_000);
            System.out.println(figures);
            assertTrue(during <= before + CAMPAIGN_NANOS / 8, figures);
            assertTrue(backend.port("a").faults().get("call_blocked") > 0);
            assertEquals("up", backend.port("c").state());
        } finally {
            Libc.LIBC.close(full);
        }
    }

    private static void fill(final int eventfd) {
        final long word = RawMemory.allocate(Long.BYTES);
        RawMemory.putLe64(word, -2);
        assertEquals(Long.BYTES, Libc.LIBC.write(eventfd, word, Long.BYTES));
        RawMemory.free(word, Long.BYTES);
    }

    /** Reconnects as often as it may, and each time blocks all it can: at once, and when a ring is set up again. */
    private static void blockAgainAndAgain(final RunningBackend backend, final int full) {
        final long end = System.nanoTime() + CAMPAIGN_NANOS;
        while (System.nanoTime() < end) {
            try (NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults())) {
                for (int i = 0; i < 20 && System.nanoTime() < end; i++) {
                    for (int ring = 0; ring < 2; ring++) {
                        a.frontend().setVringCall(ring, full);
                        a.frontend().setVringKick(ring, full);
                        a.frontend().setVringCall(ring, full);
                    }
                    a.frontend().getFeatures();
                    fillAgain(full);
                }
            }
        }
    }

    private static void fillAgain(final int full) {
        final long word = RawMemory.allocate(3 * Long.BYTES);
        RawMemory.putLe64(word, word + 2 * Long.BYTES);
        RawMemory.putLe64(word + Long.BYTES, Long.BYTES);
        Libc.LIBC.preadv2(full, word, 1, -1, Libc.RWF_NOWAIT);
        RawMemory.free(word, 3 * Long.BYTES);
        fill(full);
    }

    /** Sum of the ways that took long, of frames that cross back and forth. */
    private static long stalls(final NetDriver c, final NetDriver d) {
        long sum = 0;
        final long end = System.nanoTime() + CAMPAIGN_NANOS;
        for (long start = System.nanoTime(); start < end; start = System.nanoTime()) {
            c.transmit(FRAME);
            d.receive(LOST);
            d.transmit(FRAME);
            c.receive(LOST);
            final long took = System.nanoTime() - start;
            if (took > STALL_NANOS) {
                sum += took;
            }
            LockSupport.parkNanos(100_000);
        }
        return sum;
    }
}

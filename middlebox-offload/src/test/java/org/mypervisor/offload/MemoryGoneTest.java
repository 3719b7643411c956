package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.Region;
import org.mypervisor.vhostuser.Libc;

/** Guest memory that its owner cuts short, punches holes into or resizes under load costs only its own port. */
@Timeout(120)
final class MemoryGoneTest {
    private static final byte[] FRAME = new byte[600];
    private static final int TRUNCATIONS = 30;
    private static final int HOT_FRAMES = 2000;
    private static final long ALMOST_NOTHING = 4096;

    @TempDir
    private Path folder;

    /** Sends and receives as fast as it can, in a thread of its own, until told to stop or until its memory is gone. */
    private static final class Load implements AutoCloseable {
        private final NetDriver driver;
        private final AtomicBoolean stopped = new AtomicBoolean();
        private final AtomicLong received = new AtomicLong();
        private final Thread thread = new Thread(this::run, "load");
        private volatile Throwable end;

        Load(final NetDriver driver) {
            this.driver = driver;
            thread.setDaemon(true);
            thread.start();
        }

        private void run() {
            try {
                while (!stopped.get()) {
                    driver.transmit(FRAME);
                    while (driver.pollFrame() != null) {
                        received.incrementAndGet();
                    }
                }
            } catch (final RuntimeException | Error e) {
                end = e;
            }
        }

        /** Returns what ended the thread early, or null. */
        Throwable stop() {
            close();
            return end;
        }

        @Override
        public void close() {
            stopped.set(true);
            try {
                thread.join();
            } catch (final InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    private static void awaitHot(final Load... loads) {
        for (final Load load : loads) {
            final long before = load.received.get();
            RunningBackend.await("traffic", () -> load.received.get() > before + HOT_FRAMES || load.end != null);
            assertTrue(load.end == null, () -> "load ended: " + load.end);
        }
    }

    @Test
    void java_own_truncatedUnderHotTrafficAgainAndAgainCostsOnlyItsPort() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend);
                Load fromB = new Load(b)) {
            for (int i = 0; i < TRUNCATIONS; i++) {
                try (HandMadeGuest a = HandMadeGuest.connect(backend, "a", NetOptions.defaults())) {
                    a.driver().postReceiveBuffers();
                    a.start();
                    final Load fromA = new Load(a.driver());
                    awaitHot(fromA, fromB);
                    a.memory().truncate(i % 2 == 0 ? ALMOST_NOTHING : a.memory().fileSize() / 2 & -4096L);
                    if (i % 2 != 0) {
                        a.memory().truncate(ALMOST_NOTHING);
                    }
                    a.awaitState("broken");
                    fromA.stopped.set(true);
                    bystanders.awaitMore();
                    fromA.close();
                    assertEquals("up", backend.port("b").state());
                    RunningBackend.await(
                            "counted", () -> backend.port("a").faults().containsKey("memory_gone"));
                }
            }
            assertEquals(null, fromB.stop());
            try (NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults())) {
                a.transmit(FRAME);
                assertArrayEquals(FRAME, b.receive());
            }
        }
    }

    /** The pages read as zero from then on: rings and frames are as if the guest had written zeroes itself. */
    @Test
    void java_own_holePunchedUnderHotTrafficReadsAsZeroAndDisturbsNobodyElse() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend);
                Load fromB = new Load(b)) {
            for (int i = 0; i < 10; i++) {
                try (HandMadeGuest a = HandMadeGuest.connect(backend, "a", NetOptions.defaults())) {
                    a.driver().postReceiveBuffers();
                    a.frontend().setTimeout(java.time.Duration.ofMillis(500));
                    a.start();
                    final Load fromA = new Load(a.driver());
                    awaitHot(fromA, fromB);
                    for (final Region region : a.memory().table()) {
                        a.memory().punchHole(region.gpa(), region.size());
                    }
                    bystanders.awaitMore();
                    fromA.close();
                    assertEquals("up", backend.port("b").state());
                }
            }
            assertEquals(null, fromB.stop());
        }
    }

    @Test
    void java_own_resizedUnderHotTrafficBehindTheRegionsIsHarmless() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend);
                Load fromA = new Load(a);
                Load fromB = new Load(b)) {
            final long size = a.memory().fileSize();
            for (int i = 0; i < 20; i++) {
                awaitHot(fromA, fromB);
                a.memory().truncate(size + (64L << 20));
                awaitHot(fromA, fromB);
                a.memory().truncate(size);
            }
            bystanders.awaitMore();
            assertEquals(null, fromA.stop());
            assertEquals(null, fromB.stop());
            assertEquals("up", backend.port("a").state());
            assertEquals("up", backend.port("b").state());
        }
    }

    /** Sizes that together would use up the address space of the process. */
    @Test
    void spdk_1183_hugeSparseRegionsAreRefusedAndLeaveAddressSpaceForOthers() {
        final long size = 15L << 40;
        final int fd = Libc.LIBC.memfd_create("huge", Libc.MFD_CLOEXEC);
        assertEquals(0, Libc.POSIX_CALLS.ftruncate(fd, size));
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                Bystanders bystanders = new Bystanders(backend);
                Frontend frontend = Frontend.client(backend.socket("a")).want(LIKE_QEMU)) {
            frontend.connectLikeQemu();
            final Region[] regions = new Region[8];
            final int[] fds = new int[regions.length];
            for (int i = 0; i < regions.length; i++) {
                regions[i] = new Region((long) i << 44, size, (long) i << 44, 0);
                fds[i] = fd;
            }
            frontend.mustRefuse(() -> frontend.setMemTable(List.of(regions), fds));
            frontend.mustRefuse(() -> frontend.setMemTable(List.of(regions[0]), fd));
            frontend.mustAck(() -> frontend.setMemTable(List.of(new Region(0, 4L << 40, 0, 0)), fd));
            try (NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
                b.transmit(FRAME);
                b.awaitTransmitted();
            }
            bystanders.awaitMore();
        } finally {
            Libc.LIBC.close(fd);
        }
    }
}

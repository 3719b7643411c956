package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.Region;
import org.mypervisor.vhostuser.Libc;

/** Guest memory that its owner cuts short, punches holes into or resizes under load costs only its own port. */
@Timeout(120)
final class MemoryGoneTest {
    private static final byte[] FRAME = new byte[600];
    private static final int TRUNCATIONS = 16;
    private static final long ALMOST_NOTHING = 4096;
    private static final int TABLES = 300;

    @TempDir
    private Path folder;

    @ParameterizedTest
    @EnumSource
    void java_own_truncatedUnderHotTrafficAgainAndAgainCostsOnlyItsPort(final Rings rings) {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", rings.features(), rings.options());
                Bystanders bystanders = new Bystanders(backend, rings);
                Load fromB = new Load(b)) {
            for (int i = 0; i < TRUNCATIONS; i++) {
                try (HandMadeGuest a = HandMadeGuest.connect(backend, "a", rings)) {
                    a.driver().postReceiveBuffers();
                    a.start();
                    final Load fromA = new Load(a.driver());
                    Load.awaitHot(fromA, fromB);
                    a.memory().truncate(i % 2 == 0 ? ALMOST_NOTHING : a.memory().fileSize() / 2 & -4096L);
                    if (i % 2 != 0) {
                        a.memory().truncate(ALMOST_NOTHING);
                    }
                    a.awaitState("broken");
                    fromA.tellToStop();
                    bystanders.awaitMore();
                    fromA.close();
                    assertEquals("up", backend.port("b").state());
                    RunningBackend.await(
                            "counted", () -> backend.port("a").faults().containsKey("memory_gone"));
                }
            }
            assertEquals(null, fromB.stop());
            try (NetDriver a = backend.guest("a", rings.features(), rings.options())) {
                a.transmit(FRAME);
                assertArrayEquals(FRAME, b.receive());
            }
        }
    }

    /** The pages read as zero from then on: rings and frames are as if the guest had written zeroes itself. */
    @ParameterizedTest
    @EnumSource
    void java_own_holePunchedUnderHotTrafficReadsAsZeroAndDisturbsNobodyElse(final Rings rings) {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", rings.features(), rings.options());
                Bystanders bystanders = new Bystanders(backend, rings);
                Load fromB = new Load(b)) {
            for (int i = 0; i < 10; i++) {
                try (HandMadeGuest a = HandMadeGuest.connect(backend, "a", rings)) {
                    a.driver().postReceiveBuffers();
                    a.frontend().setTimeout(java.time.Duration.ofMillis(500));
                    a.start();
                    final Load fromA = new Load(a.driver());
                    Load.awaitHot(fromA, fromB);
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

    @ParameterizedTest
    @EnumSource
    void java_own_resizedUnderHotTrafficBehindTheRegionsIsHarmless(final Rings rings) {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", rings.features(), rings.options());
                NetDriver b = backend.guest("b", rings.features(), rings.options());
                Bystanders bystanders = new Bystanders(backend, rings);
                Load fromA = new Load(a);
                Load fromB = new Load(b)) {
            final long size = a.memory().fileSize();
            for (int i = 0; i < 20; i++) {
                Load.awaitHot(fromA, fromB);
                a.memory().truncate(size + (64L << 20));
                Load.awaitHot(fromA, fromB);
                a.memory().truncate(size);
            }
            bystanders.awaitMore();
            assertEquals(null, fromA.stop());
            assertEquals(null, fromB.stop());
            assertEquals("up", backend.port("a").state());
            assertEquals("up", backend.port("b").state());
        }
    }

    /** Mappings come and go below rings that run, and none is gone before the worker has let go of it. */
    @Test
    void java_own_spdk_378_memoryTableSentAgainAndAgainUnderFullTrafficIsHarmless() {
        try (RunningBackend backend = RunningBackend.withPaths(
                        folder,
                        false,
                        List.of("a,wait=5000", "b,wait=5000", "c", "d"),
                        "a <-> b",
                        "c <-> count <-> d");
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend);
                Load fromA = new Load(a);
                Load fromB = new Load(b)) {
            final List<Region> table = a.memory().table();
            final int[] fds = a.memory().tableFds();
            final List<Region> more = new ArrayList<>(table);
            more.add(new Region(0x70_0000_0000L, 4096, 0x70_0000_0000L, 0));
            final int[] moreFds = Arrays.copyOf(fds, fds.length + 1);
            moreFds[fds.length] = fds[0];
            for (int i = 0; i < TABLES; i++) {
                a.frontend().mustAck(() -> a.frontend().setMemTable(more, moreFds));
                a.frontend().mustAck(() -> a.frontend().setMemTable(table, fds));
                if (i % 20 == 0) {
                    Load.awaitHot(fromA, fromB);
                }
            }
            Load.awaitHot(fromA, fromB);
            bystanders.awaitMore();
            assertEquals(null, fromA.stop());
            assertEquals(null, fromB.stop());
            RunningBackend.await("every frame from b has arrived or is counted, and every frame from a", () -> {
                fromA.collect();
                fromB.collect();
                return fromA.received() + dropped(backend, "a") == fromB.sent()
                        && fromB.received() + dropped(backend, "b") == fromA.sent();
            });
            assertEquals(
                    0,
                    backend.port("a").faults().values().stream()
                            .mapToLong(n -> n)
                            .sum());
            System.out.printf(
                    "%d tables, %d and %d frames, of these %d came while port a's rings moved%n",
                    2 * TABLES, fromA.sent(), fromB.sent(), dropped(backend, "a"));
        }
    }

    /** Frames for a port that was not up, or had no buffer. */
    private static long dropped(final RunningBackend backend, final String port) {
        return backend.port(port).drops().get("down")
                + backend.port(port).drops().get("no_buffer");
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

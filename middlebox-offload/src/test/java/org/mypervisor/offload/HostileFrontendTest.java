package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.Region;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/** A front-end that is slow, lies about its descriptors or comes and goes costs nobody else anything. */
@Timeout(300)
final class HostileFrontendTest {
    private static final byte[] FRAME = new byte[60];

    /** Connections one after the other; {@code -Dcycles=10000} is the long form. */
    private static final int CYCLES = Integer.getInteger("cycles", 1000);

    private static final int O_RDWR = 2;

    /** The thread that looks at calls does so every 50 ms, and a call has to be the same twice. */
    private static final Duration TO_FIND_A_BLOCKED_CALL = Duration.ofMillis(100);

    @TempDir
    private Path folder;

    @Test
    void safety_rule_frontEndThatSendsOneByteASecondDelaysOnlyItself() throws InterruptedException {
        final byte[] getFeatures = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                Frontend slow = Frontend.client(backend.socket("a"));
                Bystanders bystanders = new Bystanders(backend)) {
            slow.open();
            for (int i = 0; i < 3; i++) {
                slow.socket().send(new byte[] {getFeatures[i]});
                Thread.sleep(1000);
                try (NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
                    b.transmit(FRAME);
                    b.awaitTransmitted();
                }
                assertEquals("down", backend.port("a").state());
            }
            for (int i = 3; i < getFeatures.length; i++) {
                slow.socket().send(new byte[] {getFeatures[i]});
            }
            assertEquals(8, slow.reply(1, 8, "GET_FEATURES").payload().length);
            slow.socket().send(new byte[] {1});
            bystanders.awaitMore();
            assertTimeoutPreemptively(Duration.ofSeconds(5), () -> closeAfter(bystanders, backend));
        }
    }

    @Test
    void java_own_descriptorsOfTheWrongKindAreRefusedAndClosed() {
        final int[] noEventfds = {
            Libc.LIBC.memfd_create("file", Libc.MFD_CLOEXEC),
            Libc.LIBC.epoll_create1(Libc.EPOLL_CLOEXEC),
            Libc.POSIX_CALLS.open("/dev/zero", O_RDWR, 0),
            Libc.POSIX_CALLS.open(folder.toString(), 0, 0),
        };
        final int eventfd = Libc.LIBC.eventfd(0, Libc.EFD_CLOEXEC);
        final Region region = new Region(0, 4096, 0x10000, 0);
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                Bystanders bystanders = new Bystanders(backend);
                Frontend frontend = Frontend.client(backend.socket("a"))) {
            frontend.connectLikeQemu();
            // The first time also opens what the JVM opens once for itself.
            refuseAll(frontend, noEventfds, region, eventfd);
            final long before = descriptors();
            refuseAll(frontend, noEventfds, region, eventfd);
            // They are closed just behind the answer.
            RunningBackend.await("closed", () -> descriptors() <= before);
            bystanders.awaitMore();
        } finally {
            Libc.LIBC.close(eventfd);
            for (final int fd : noEventfds) {
                Libc.LIBC.close(fd);
            }
        }
    }

    private static void refuseAll(
            final Frontend frontend, final int[] noEventfds, final Region region, final int eventfd) {
        for (final int fd : noEventfds) {
            frontend.mustRefuse(() -> frontend.setVringKick(1, fd));
            frontend.mustRefuse(() -> frontend.setVringCall(1, fd));
            frontend.mustRefuse(() -> frontend.setVringErr(1, fd));
            frontend.mustRefuse(() -> frontend.setMemTable(List.of(region), fd));
        }
        frontend.mustRefuse(() -> frontend.setMemTable(List.of(region), eventfd));
    }

    @Test
    void dpdk_bc900f86aa_cyclesOfConnectAndDisconnectHoldNothingMore() throws IOException {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                Bystanders bystanders = new Bystanders(backend);
                GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20)) {
            cycle(backend, memory, 50);
            final long descriptors = descriptors();
            final long mappings = mappings();
            final long start = System.nanoTime();
            cycle(backend, memory, CYCLES);
            System.out.printf(
                    "%d cycles in %d ms, descriptors %d -> %d, guest mappings %d -> %d%n",
                    CYCLES, (System.nanoTime() - start) / 1_000_000, descriptors, descriptors(), mappings, mappings());
            assertEquals(descriptors, descriptors());
            assertEquals(mappings, mappings());
            bystanders.awaitMore();
        }
    }

    private static void cycle(final RunningBackend backend, final GuestMemoryFile memory, final int times) {
        final NetDriver[] driver = new NetDriver[1];
        for (int i = 0; i < times; i++) {
            try (Frontend frontend = Frontend.client(backend.socket("a")).want(LIKE_QEMU)) {
                frontend.connectLikeQemu();
                if (driver[0] == null) {
                    driver[0] = new NetDriver(frontend, memory, NetOptions.defaults());
                }
                frontend.startLikeQemu(memory, driver[0].vrings());
                if (i % 2 == 0) {
                    // Else it dies while it starts.
                    frontend.getFeatures();
                }
            }
        }
        driver[0].close();
        RunningBackend.await("down", () -> backend.port("a").state().equals("down"));
        // Down comes before the connection's own descriptor is closed.
        try (Frontend last = Frontend.client(backend.socket("a"))) {
            last.open();
            last.getFeatures();
        }
        RunningBackend.await("closed", () -> sockets(backend) == 0);
    }

    /** Connections that the kernel still knows on the socket of port a, beside the listening one. */
    private static long sockets(final RunningBackend backend) {
        try (Stream<String> lines = Files.lines(Path.of("/proc/net/unix"))) {
            return lines.filter(line -> line.endsWith(" " + backend.socket("a")))
                            .count()
                    - 1;
        } catch (final IOException e) {
            throw new AssertionError(e);
        }
    }

    private static long descriptors() {
        try (Stream<Path> fds = Files.list(Path.of("/proc/self/fd"))) {
            return fds.count();
        } catch (final IOException e) {
            throw new AssertionError(e);
        }
    }

    private static long mappings() throws IOException {
        try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            return maps.filter(line -> line.contains("guest-memory")).count();
        }
    }

    @Test
    void ovs_7f5f2bd0c_guestThatBindsAndUnbindsItsDriverPausesNobody() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend)) {
            for (int i = 0; i < 300; i++) {
                a.stop();
                a.reset();
                a.start();
                a.frontend().setQueuePairs(0);
                a.frontend().setQueuePairs(1);
            }
            a.frontend().getFeatures();
            a.transmit(FRAME);
            assertArrayEquals(FRAME, b.receive());
            bystanders.awaitMore();
        }
    }

    @Test
    void dpdk_1407b0752e_ringWithoutAKickDescriptorIsPolled() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
            a.transmit(FRAME);
            b.receive();
            a.frontend().setVringKickNoFd(1);
            a.frontend().getFeatures();
            for (int i = 0; i < 20; i++) {
                a.transmit(FRAME);
                assertArrayEquals(FRAME, b.receive(Duration.ofMillis(500)));
            }
        }
    }

    /** Both rings are kicked while they are started and not enabled; nobody kicks again. */
    @Test
    void rust_vmm_247_kickBeforeEnableIsNotLost() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest a = HandMadeGuest.connect(backend, "a", NetOptions.defaults())) {
            a.frontend().setQueuePairs(0);
            a.frontend().startLikeQemu(a.memory(), a.driver().vrings());
            a.frontend().getFeatures();
            assertEquals("down", backend.port("a").state());
            a.driver().postReceiveBuffers();
            a.driver().receiveq().kickAlways();
            a.driver().transmit(FRAME);
            a.driver().transmitq().kickAlways();
            // A disabled transmitq is drained, vhost-user specification, "Ring states": its driver never stalls.
            a.driver().awaitTransmitted();
            assertEquals(1, backend.port("a").drops().get("disabled"));
            assertEquals(0, backend.port("b").sent().packets());
            a.frontend().setQueuePairs(1);
            a.awaitState("up");
            b.transmit(FRAME);
            assertArrayEquals(FRAME, a.driver().receive());
            a.driver().transmit(FRAME);
            assertArrayEquals(FRAME, b.receive());
            assertEquals(1, backend.port("a").drops().get("disabled"));
        }
    }

    /** The other side listens, and nobody there accepts. */
    @Test
    void java_own_listenerThatNeverAcceptsHoldsNobodyUp() throws IOException {
        final UnixDomainSocketAddress address = UnixDomainSocketAddress.of(folder.resolve("a"));
        final List<SocketChannel> waiting = new ArrayList<>();
        try (ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            listener.bind(address, 1);
            fillBacklog(address, waiting);
            try (RunningBackend backend = RunningBackend.withPaths(
                            folder, false, List.of("a,server=off", "b", "c", "d"), "a <-> b", "c <-> count <-> d");
                    Bystanders bystanders = new Bystanders(backend)) {
                bystanders.awaitMore();
                assertEquals("down", backend.port("a").state());
                assertTimeoutPreemptively(Duration.ofSeconds(5), () -> closeAfter(bystanders, backend));
            }
        } finally {
            for (final SocketChannel channel : waiting) {
                channel.close();
            }
        }
        assertTrue(waiting.size() < 100);
    }

    private static void closeAfter(final Bystanders bystanders, final RunningBackend backend) {
        bystanders.close();
        backend.close();
    }

    private static void fillBacklog(final UnixDomainSocketAddress address, final List<SocketChannel> waiting)
            throws IOException {
        while (waiting.size() < 100) {
            final SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX);
            channel.configureBlocking(false);
            waiting.add(channel);
            try {
                if (!channel.connect(address)) {
                    return;
                }
            } catch (final IOException e) {
                return;
            }
        }
    }

    /** A full, blocking eventfd: the write that calls the driver would wait until somebody reads it. */
    @Test
    void safety_rule_callEventfdThatBlocksCostsOnlyItsPort() {
        final int full = Libc.LIBC.eventfd(0, Libc.EFD_CLOEXEC);
        final long word = RawMemory.allocate(Long.BYTES);
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend).allow(TO_FIND_A_BLOCKED_CALL)) {
            RawMemory.putLe64(word, -2);
            assertEquals(Long.BYTES, Libc.LIBC.write(full, word, Long.BYTES));
            a.frontend().setVringCall(1, full);
            RunningBackend.await("a is broken", () -> backend.port("a").state().equals("broken"));
            RunningBackend.await("counted", () -> backend.port("a").faults().containsKey("call_blocked"));
            bystanders.awaitMore();
        } finally {
            RawMemory.free(word, Long.BYTES);
            Libc.LIBC.close(full);
        }
    }
}

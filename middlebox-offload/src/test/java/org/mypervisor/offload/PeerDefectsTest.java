package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_INDIRECT_DESC;
import static org.mypervisor.driversim.Virtio.mask;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.DriverRing;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.HostileDriver;
import org.mypervisor.driversim.HostileRing;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;

/** Defects that other back-ends had, tried on a whole one with its worker; docs/security.md has the list. */
@Timeout(120)
final class PeerDefectsTest {
    private static final int FRAME_BYTES = 60;
    private static final int NUMBER_AT = 20;

    @TempDir
    private Path folder;

    private static byte[] frame(final long number) {
        final byte[] frame = new byte[FRAME_BYTES];
        ByteBuffer.wrap(frame).putLong(NUMBER_AT, number);
        return frame;
    }

    private RunningBackend twoPorts(final String... ports) {
        return RunningBackend.withPaths(folder, false, List.of(ports), "a <-> b");
    }

    /** A guest that makes a buffer longer than memory and short again, while we judge and copy it. */
    @Test
    void lengthThatChangesMeanwhileIsJudgedAndUsedOnce_93ed2f49de_af584d21bf() throws InterruptedException {
        final int chains = 20_000;
        final AtomicBoolean enough = new AtomicBoolean();
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
            final DriverRing ring = a.splitTransmitq().ring();
            final long gpa = a.transmitBufferGpa(0);
            a.memory().write(gpa + a.headerSize(), frame(7));
            final Thread flipping = new Thread(() -> {
                while (!enough.get()) {
                    ring.writeDescriptor(0, gpa, a.headerSize() + FRAME_BYTES, 0, 0);
                    ring.writeDescriptor(0, gpa, 0xFFFF_FFFFL, 0, 0);
                }
            });
            flipping.start();
            int arrived = 0;
            try {
                for (int i = 1; i <= chains; i++) {
                    ring.writeAvailEntry(i - 1, 0);
                    ring.writeAvailIdx(i);
                    final int index = i & 0xFFFF;
                    RunningBackend.await("given back", () -> ring.usedIdx() == index);
                    for (var got = b.pollFrame(); got != null; got = b.pollFrame()) {
                        assertArrayEquals(frame(7), got.frame());
                        arrived++;
                    }
                }
            } finally {
                enough.set(true);
                flipping.join();
            }
            final long faults = backend.port("a").faults().values().stream()
                    .mapToLong(n -> n)
                    .sum();
            assertEquals(chains, arrived + faults);
            assertTrue(arrived > 0 && faults > 0, arrived + " frames, " + faults + " faults");
            assertEquals("up", backend.port("a").state());
        }
    }

    /** Each way in which a chain can have no end or leave its table gives the ring up, once, and nothing else. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void chainsWithoutEndAndWildNextBreakOnlyTheirRing_450539b47e_4e282bc6c5_6ec1778134(final boolean indirect) {
        final long features = indirect ? LIKE_QEMU : LIKE_QEMU & ~mask(VIRTIO_F_INDIRECT_DESC);
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", features, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend)) {
            final HostileDriver hostile = HostileDriver.onTransmitq(a);
            final List<HostileRing> endless = hostile.entries().stream()
                    .filter(entry -> Stream.of("LOOP", "NEXT").anyMatch(entry.name()::contains))
                    .toList();
            assertTrue(endless.size() >= (indirect ? 6 : 3), endless::toString);
            for (final HostileRing entry : endless) {
                assertEquals(HostileRing.Outcome.BAD_RING, entry.outcome());
                hostile.expect(entry);
                assertEquals("broken", backend.port("a").state(), entry.name());
                a.stop();
                a.reset();
                a.start();
                a.transmit(frame(1));
                assertArrayEquals(frame(1), b.receive(), entry.name());
                a.awaitTransmitted();
            }
            bystanders.awaitMore();
        }
    }

    /** Both 16-bit indices of both rings come round, in rings of the smallest and of a common size. */
    @ParameterizedTest
    @ValueSource(ints = {2, 256})
    void framesPassWhereIndicesWrap_38e6400387(final int size) {
        final NetOptions options = NetOptions.defaults().withQueueSize(size);
        try (RunningBackend backend = twoPorts("a", "b,wait=5000");
                NetDriver a = backend.guest("a", LIKE_QEMU, options);
                NetDriver b = backend.guest("b", LIKE_QEMU, options)) {
            long received = 0;
            for (long sent = 0; sent < 70_000; sent++) {
                a.transmit(frame(sent));
                if (sent - received == size - 1) {
                    assertArrayEquals(frame(received++), b.receive());
                }
            }
            while (received < 70_000) {
                assertArrayEquals(frame(received++), b.receive());
            }
            assertEquals(70_000 & 0xFFFF, b.splitReceiveq().ring().usedIdx());
        }
    }

    /** Nearly a thousand merged buffers for one frame: whatever is sized for a frame is sized for this one. */
    @Test
    void longestFrameFillsTheSmallestBuffers_VPP_32526a42c59() {
        final byte[] longest = new byte[65_535];
        for (int i = 0; i < longest.length; i++) {
            longest[i] = (byte) (i * 31 + (i >> 8));
        }
        final NetOptions sender = NetOptions.defaults().withQueueSize(16).withTransmitBufferSize(66_000);
        final NetOptions receiver = NetOptions.defaults().withQueueSize(1024).withReceiveBufferSize(68);
        try (RunningBackend backend = twoPorts("a", "b,wait=5000");
                NetDriver a = backend.guest("a", LIKE_QEMU, sender);
                NetDriver b = backend.guest("b", LIKE_QEMU, receiver)) {
            for (int i = 0; i < 20; i++) {
                a.transmit(longest);
                final var got = b.receiveFrame(Duration.ofSeconds(5));
                assertArrayEquals(longest, got.frame());
            }
        }
    }

    /** The front-end vanishes while the worker is in the middle of its rings, again and again. */
    @Test
    void frontEndThatGoesUnderFullTrafficTakesNothingAlong_21d9fb6bad_73ea44370d() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend);
                Load fromB = new Load(b)) {
            for (int i = 0; i < 30; i++) {
                try (HandMadeGuest a = HandMadeGuest.connect(backend, "a", NetOptions.defaults())) {
                    a.driver().postReceiveBuffers();
                    a.frontend().setTimeout(Duration.ofMillis(100));
                    a.start();
                    final Load fromA = new Load(a.driver());
                    fromA.awaitHot();
                    a.frontend().disconnect();
                    a.awaitState("down");
                    fromA.close();
                }
            }
            fromB.stop();
            bystanders.awaitMore();
            assertEquals("up", backend.port("b").state());
        }
    }

    /** The back-end has looked at a chain and waits for a buffer when the connection ends: the chain is not lost. */
    @Test
    void framesNotTakenBeforeADisconnectAreNotSkipped_cloud_hypervisor_8592() {
        final int frames = 100;
        try (RunningBackend backend = twoPorts("a", "b,wait=60000");
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest b = HandMadeGuest.connect(backend, "b", NetOptions.defaults())
                        .start()) {
            for (int i = 0; i < frames; i++) {
                a.transmit(frame(i));
            }
            for (int lap = 0; lap < 3; lap++) {
                a.reconnect();
                a.frontend().getFeatures();
                RunningBackend.await("up", () -> backend.port("a").state().equals("up"));
                assertEquals(0, a.splitTransmitq().ring().usedIdx());
            }
            b.driver().postReceiveBuffers();
            for (int i = 0; i < frames; i++) {
                assertArrayEquals(frame(i), b.driver().receive());
            }
            b.driver().expectNoFrame(Duration.ofMillis(20));
            a.awaitTransmitted();
        }
    }

    /** Chains came while the ring stood still and nobody kicks again: the driver thinks that it has. */
    @Test
    void ringThatFilledWhileItStoodStillIsServedWithoutAKick_firecracker_5958() {
        try (RunningBackend backend = twoPorts("a", "b");
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
            for (int lap = 0; lap < 20; lap++) {
                a.stop();
                for (int i = 0; i < 10; i++) {
                    a.transmit(frame(i));
                }
                startWithoutAKick(a);
                for (int i = 0; i < 10; i++) {
                    assertArrayEquals(frame(i), b.receive());
                }
                // And it is armed again.
                a.transmit(frame(99));
                assertArrayEquals(frame(99), b.receive());
                a.awaitTransmitted();
            }
        }
    }

    /** As virtio-user does: QEMU signals the kicks in advance. */
    private static void startWithoutAKick(final NetDriver guest) {
        final Frontend frontend = guest.frontend();
        final DriverQueue[] rings = guest.vrings();
        for (int index = 0; index < rings.length; index++) {
            rings[index].notifiers().renew(0);
            frontend.setVring(index, guest.memory(), rings[index].layout(), rings[index].base());
            frontend.setVringKick(index, rings[index].notifiers().kick().fd());
            frontend.setVringCall(index, rings[index].notifiers().call().fd());
        }
    }

    /** Frames sent about when the worker falls asleep: whether it looks once more decides over them. */
    @Test
    void frameSentWhileTheWorkerFallsAsleepIsNotLeft_cloud_hypervisor_897_hvisor_tool_101() {
        try (RunningBackend backend = twoPorts("a", "b");
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
            for (int i = 0; i < 20_000; i++) {
                a.transmit(frame(i));
                assertArrayEquals(frame(i), b.receive(Duration.ofSeconds(2)));
                final long until = System.nanoTime() + i % 100 * 500L;
                while (System.nanoTime() < until) {
                    Thread.onSpinWait();
                }
            }
        }
    }

    /** The worker itself calls: a call that went through another thread's timer would be late each time. */
    @Test
    void callComesFromTheWorkerAtOnce_VPP_27e93a5d769() {
        final long[] nanos = new long[101];
        try (RunningBackend backend = twoPorts("a", "b");
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
            for (int i = 0; i < nanos.length; i++) {
                b.receiveq().enableInterrupts();
                LockSupport.parkNanos(2_000_000);
                final long start = System.nanoTime();
                a.transmit(frame(i));
                assertTrue(b.receiveq().awaitCall(Duration.ofSeconds(2)));
                nanos[i] = System.nanoTime() - start;
                assertArrayEquals(frame(i), b.receive());
            }
        }
        Arrays.sort(nanos);
        final long median = nanos[nanos.length / 2] / 1000;
        System.out.println("from a frame to the call: " + median + " us (median)");
        assertTrue(median < 3000, median + " us");
    }

    /** A driver that polls gives no call descriptor, or takes it away; frames move all the same. */
    @Test
    void ringsWithoutACallDescriptorMove_rust_vmm_a94e14e() {
        try (RunningBackend backend = twoPorts("a", "b");
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest b = HandMadeGuest.connect(backend, "b", NetOptions.defaults())) {
            b.driver().postReceiveBuffers();
            b.frontend().setFeatures(b.frontend().features());
            b.frontend().sendMemTable(b.memory());
            final DriverQueue[] rings = b.driver().vrings();
            for (int index = 0; index < rings.length; index++) {
                b.frontend().setVringCallNoFd(index);
                b.frontend().setVring(index, b.memory(), rings[index].layout(), 0);
                b.frontend().setVringKick(index, rings[index].notifiers().kick().fd());
            }
            b.awaitState("up");
            for (int i = 0; i < 1000; i++) {
                a.transmit(frame(i));
                assertArrayEquals(frame(i), polled(b.driver()));
                b.driver().transmit(frame(-i));
                assertArrayEquals(frame(-i), a.receive());
            }
            assertEquals(0, rings[0].notifiers().call().drain());
            a.frontend().setVringCallNoFd(0);
            a.frontend().getFeatures();
            b.driver().transmit(frame(5));
            assertArrayEquals(frame(5), polled(a));
        }
    }

    private static byte[] polled(final NetDriver driver) {
        final byte[][] frame = new byte[1][];
        RunningBackend.await("a frame", () -> {
            final var got = driver.pollFrame();
            frame[0] = got == null ? null : got.frame();
            return got != null;
        });
        return frame[0];
    }
}

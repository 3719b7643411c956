package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_NEXT;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_WRITE;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.DriverRing;
import org.mypervisor.driversim.Framing;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;

/** A guest that gives the worker as much to do as it can takes no time from others, and breaks nothing of theirs. */
@Timeout(60)
final class UnboundedWorkTest {
    private static final byte[] FRAME = new byte[60];

    @TempDir
    private Path folder;

    /** Buffers that are empty and break no rule: a frame finds no room in however many of them. */
    @ParameterizedTest
    @ValueSource(ints = {2048, 32768})
    void cve_2020_10725_wellFormedChainsOfEmptyBuffersStallNobody(final int size) {
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest b =
                        HandMadeGuest.connect(backend, "b", new NetOptions(size, 64, 64, Framing.ONE_BUFFER))) {
            final DriverRing ring = b.driver().splitReceiveq().ring();
            final long gpa = b.driver().receiveBufferGpa(0);
            for (int i = 0; i < size - 2; i++) {
                ring.writeDescriptor(i, gpa, 0, VIRTQ_DESC_F_WRITE | (i < 1022 ? VIRTQ_DESC_F_NEXT : 0), i + 1);
            }
            ring.writeDescriptor(size - 1, gpa, 12, VIRTQ_DESC_F_WRITE, 0);
            ring.writeAvailEntry(0, size - 1);
            for (int i = 1; i < size; i++) {
                ring.writeAvailEntry(i, 0);
            }
            ring.writeAvailIdx(size);
            b.start();
            try (Bystanders bystanders = new Bystanders(backend)) {
                for (int i = 0; i < 200; i++) {
                    a.transmit(FRAME);
                }
                a.awaitTransmitted();
                bystanders.awaitMore();
            }
            assertEquals(0, backend.port("b").sent().packets());
        }
    }

    /** A receiveq full of the longest chains there can be, all of empty buffers, each with a bad end. */
    @ParameterizedTest
    @ValueSource(ints = {1024, 32768})
    void cve_2020_10725_longestChainsOfEmptyBuffersStallNobody(final int size) throws IOException {
        // A million descriptors before the first compilation took 50 ms of a machine with other things to do; that is
        // not meant.
        offerLongestChains(Files.createDirectory(folder.resolve("before")), 1024, backend -> null);
        offerLongestChains(folder, size, Bystanders::new);
    }

    private static void offerLongestChains(
            final Path folder, final int size, final Function<RunningBackend, Bystanders> watch) {
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest b =
                        HandMadeGuest.connect(backend, "b", new NetOptions(size, 64, 64, Framing.ONE_BUFFER))) {
            final DriverRing ring = b.driver().splitReceiveq().ring();
            for (int i = 0; i < size - 1; i++) {
                ring.writeDescriptor(
                        i, b.driver().receiveBufferGpa(0), 0, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, i + 1);
            }
            ring.writeDescriptor(size - 1, 0x7777_0000_0000L, 4, VIRTQ_DESC_F_WRITE, 0);
            for (int i = 0; i < size; i++) {
                ring.writeAvailEntry(i, 0);
            }
            ring.writeAvailIdx(size);
            b.start();
            try (Bystanders bystanders = watch.apply(backend)) {
                a.transmit(FRAME);
                a.awaitTransmitted();
                if (bystanders != null) {
                    bystanders.awaitMore();
                }
            }
            assertEquals(0, backend.port("b").sent().packets());
            // A ring that is given up is counted by the watching thread, a little later.
            RunningBackend.await(
                    "faults",
                    () -> backend.port("b").faults().values().stream()
                                    .mapToLong(n -> n)
                                    .sum()
                            > 0);
        }
    }

    /** The same gigabyte offered as one frame, again and again, with receive buffers to match. */
    @Test
    void java_own_framesOfAGigabyteStallNobodyAndEndAsFaults() {
        final int pieces = 31;
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                HandMadeGuest a = HandMadeGuest.connect(backend, "a", NetOptions.defaults());
                HandMadeGuest b = HandMadeGuest.connect(backend, "b", NetOptions.defaults())) {
            final DriverRing from = a.driver().splitTransmitq().ring();
            final DriverRing to = b.driver().splitReceiveq().ring();
            for (int i = 0; i < pieces; i++) {
                final int next = i < pieces - 1 ? VIRTQ_DESC_F_NEXT : 0;
                from.writeDescriptor(i, 0x1000000, 32 << 20, next, i + 1);
                to.writeDescriptor(i, 0x1000000, 32 << 20, next | VIRTQ_DESC_F_WRITE, i + 1);
            }
            for (int i = 0; i < 256; i++) {
                from.writeAvailEntry(i, 0);
                to.writeAvailEntry(i, 0);
            }
            to.writeAvailIdx(256);
            b.start();
            from.writeAvailIdx(32);
            try (Bystanders bystanders = new Bystanders(backend)) {
                a.start();
                RunningBackend.await("all judged", () -> from.usedIdx() == 32);
                bystanders.awaitMore();
            }
            assertEquals(32, backend.port("a").faults().get("chain_too_long"));
            assertEquals(0, backend.port("b").sent().packets());
        }
    }

    /** The receiving driver takes buffers back while we set them aside. */
    @Test
    void java_own_availIdxThatGoesBackWhileBuffersAreSetAsideCostsOnlyItsPort() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest b = HandMadeGuest.connect(backend, "b", NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend)) {
            final DriverRing ring = b.driver().splitReceiveq().ring();
            ring.writeDescriptor(0, b.driver().receiveBufferGpa(0), 2048, VIRTQ_DESC_F_WRITE, 0);
            ring.writeDescriptor(1, b.driver().receiveBufferGpa(1), 12, VIRTQ_DESC_F_WRITE, 0);
            ring.writeDescriptor(2, b.driver().receiveBufferGpa(2), 0, VIRTQ_DESC_F_WRITE, 0);
            ring.writeAvailEntry(0, 0);
            ring.writeAvailEntry(1, 1);
            for (int i = 2; i < 256; i++) {
                ring.writeAvailEntry(i, 2);
            }
            ring.writeAvailIdx(3);
            b.start();
            a.transmit(FRAME);
            RunningBackend.await("sent", () -> backend.port("b").sent().packets() == 1);
            ring.writeAvailEntry(0, 2);
            ring.writeAvailIdx(2);
            a.transmit(new byte[2036]);
            a.awaitTransmitted();
            bystanders.awaitMore();
            assertEquals(1, backend.port("b").sent().packets());
            assertEquals("up", backend.port("a").state());
        }
    }

    @Test
    void safety_rule_brokenTransmitqIsLeftAloneUntilItIsSetUpAgain() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, true);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend)) {
            final DriverRing ring = a.splitTransmitq().ring();
            ring.writeDescriptor(0, a.transmitBufferGpa(0), 72, 0, 0);
            ring.writeAvailEntry(0, 9999);
            ring.writeAvailIdx(1);
            RunningBackend.await("broken", () -> backend.port("a").state().equals("broken"));
            ring.writeAvailEntry(0, 0);
            b.expectNoFrame(Duration.ofMillis(250));
            assertEquals("broken", backend.port("a").state());
            assertEquals(1, backend.port("a").faults().get("index_out_of_range"), "counted once");
            bystanders.awaitMore();
            a.stop();
            a.reset();
            a.start();
            a.transmit(FRAME);
            assertArrayEquals(FRAME, b.receive());
        }
    }

    @Test
    void safety_rule_availIdxJumpIsCountedOnce() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend)) {
            a.splitTransmitq().ring().writeAvailIdx(1000);
            a.transmitq().kickAlways();
            RunningBackend.await("broken", () -> backend.port("a").state().equals("broken"));
            RunningBackend.await("counted", () -> backend.port("a").faults().containsKey("avail_idx_jump"));
            bystanders.awaitMore();
            assertEquals(1, backend.port("a").faults().get("avail_idx_jump"));
        }
    }

    @Test
    void cve_2022_2132_chainsWithoutAWholeHeaderAreFaultsNotFrames() {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver a = backend.guest("a", LIKE_QEMU, NetOptions.defaults());
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults())) {
            final DriverRing ring = a.splitTransmitq().ring();
            for (int i = 0; i < 10; i++) {
                ring.writeDescriptor(i, a.transmitBufferGpa(0), i, 0, 0);
                ring.writeAvailEntry(i, i);
            }
            ring.writeAvailIdx(10);
            a.transmitq().kickAlways();
            RunningBackend.await("given back", () -> ring.usedIdx() == 10);
            b.expectNoFrame(Duration.ofMillis(2));
            assertEquals(10, backend.port("a").faults().get("header_short"));
            assertEquals(0, backend.port("a").received().packets());
            assertEquals(0, backend.stats().workers().get(0).packets());
        }
    }
}

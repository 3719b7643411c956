package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.EventFd;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.Virtio;

/** Whole sequences as QEMU 7.2 and DPDK virtio-user send them, in either role. */
@Timeout(30)
class HandshakeTest {
    /** Linux on QEMU, and virtio-user, know no more than this; one bit more would be a promise we do not keep. */
    /** CSUM, GUEST_CSUM, GUEST and HOST TSO4, TSO6, ECN; GUEST_USO4, GUEST_USO6, HOST_USO. */
    private static final long OFFLOADS = 0b11 | 0b111L << 7 | 0b111L << 11 | 0b111L << 54;

    private static final long OFFER = OFFLOADS | 1L << 3 | 1L << 15 | 1L << 21 | 1L << 27 | 1L << 28 | 1L << 29
            | 1L << 30 | 1L << 32 | 1L << 34 | 1L << 35;

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldStartAndStopRingsWhenQemuConnects(final boolean packed) {
        try (TestPort port = TestPort.listening(folder)) {
            assertEquals(Endpoint.State.DOWN, port.endpoint.state());
            port.frontend.want(TestPort.likeQemu(packed)).connectLikeQemu();
            assertEquals(OFFER, port.frontend.offered());
            port.layOutRings();
            assertEquals(Endpoint.State.DOWN, port.endpoint.state());
            port.frontend.startLikeQemu(port.memory, port.vrings);
            port.fence();
            assertEquals(startsAt(port, 0), startsOf(port.recorder.takeEvents()));
            assertEquals(Endpoint.State.UP, port.endpoint.state());
            assertEquals(port.frontend.features(), port.endpoint.features());
            port.assertRingsWork();
            port.assertRingsWork();
            assertEquals(List.of(port.baseAfter(2), port.baseAfter(2)), basesOf(port));
            assertEquals(List.of("stop 0", "stop 1"), port.recorder.takeEvents());
            assertEquals(Endpoint.State.DOWN, port.endpoint.state());
            port.frontend.startLikeQemu(port.memory, port.vrings);
            port.fence();
            assertEquals(startsAt(port, 2), startsOf(port.recorder.takeEvents()));
            port.assertRingsWork();
        }
    }

    private static List<String> startsOf(final List<String> events) {
        return events.stream().filter(event -> event.startsWith("start")).toList();
    }

    private static List<String> startsAt(final TestPort port, final int chains) {
        return List.of("start 0 at " + port.baseAfter(chains), "start 1 at " + port.baseAfter(chains));
    }

    private static List<Integer> basesOf(final TestPort port) {
        return java.util.Arrays.stream(port.frontend.stop(port.vrings)).boxed().toList();
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldConnectWhenQemuListens(final boolean packed) {
        try (TestPort port = TestPort.connecting(folder)) {
            port.frontend.want(TestPort.likeQemu(packed)).connectLikeQemu();
            port.layOutRings();
            port.frontend.startLikeQemu(port.memory, port.vrings);
            port.fence();
            port.assertRingsWork();
            port.frontend.setTimeout(Duration.ofSeconds(10));
            port.frontend.reconnectLikeQemu(port.memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.takeEvents().contains("start 1 at " + port.baseAfter(1)));
            port.assertRingsWork();
        }
    }

    @Test
    void shouldRunWhenVirtioUserConnects() {
        try (TestPort port = TestPort.listening(folder);
                GuestMemoryFile memory = GuestMemoryFile.likeVirtioUser(4 << 20)) {
            port.frontend.want(Virtio.LIKE_VIRTIO_USER).connectLikeVirtioUser(1);
            port.layOutRings(memory);
            port.frontend.startLikeVirtioUser(memory, port.vrings);
            port.fence();
            assertEquals(Endpoint.State.UP, port.endpoint.state());
            final DriverQueue transmitq = port.vrings[1];
            transmitq.addOne(memory.allocate(64, 64), 64, false);
            transmitq.publishAndKick();
            assertEquals(1, port.recorder.run(0));
            assertTrue(transmitq.nextUsed());
            port.frontend.stopLikeVirtioUser(port.vrings);
            assertEquals(1, transmitq.base());
            port.awaitState(Endpoint.State.DOWN);
        }
    }

    /** virtio-user stops the old rings on the new connection first, and sends base 0 although used.idx went on. */
    @Test
    void shouldResumeAtUsedIdxWhenVirtioUserServesAndWeReconnect_VPP_102() {
        try (TestPort port = TestPort.connecting(folder);
                GuestMemoryFile memory = GuestMemoryFile.likeVirtioUser(4 << 20)) {
            port.frontend.setTimeout(Duration.ofSeconds(10));
            port.frontend.want(Virtio.LIKE_VIRTIO_USER).connectLikeVirtioUser(1);
            port.layOutRings(memory);
            port.frontend.startLikeVirtioUser(memory, port.vrings);
            final DriverQueue transmitq = port.vrings[1];
            port.fence();
            for (int i = 0; i < 3; i++) {
                transmitq.addOne(memory.allocate(64, 64), 64, false);
            }
            transmitq.publish();
            port.recorder.run(0);
            port.frontend.reconnectLikeVirtioUser(memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.takeEvents().contains("start 1 at 3"));
            assertEquals(Endpoint.State.UP, port.endpoint.state());
        }
    }

    /** A guest whose driver has chosen cannot be told of less: QEMU would drop the connection for ever. */
    @Test
    void shouldOfferTheSameAfterARestart_VPP_536_OVS_a5669fd51() {
        long offered = 0;
        for (int lap = 0; lap < 3; lap++) {
            try (TestPort port = TestPort.running(folder)) {
                assertEquals(OFFER, port.frontend.offered());
                // Neither what a front-end chose nor what was running before changes the offer to the next one.
                port.frontend.disconnect();
                port.frontend
                        .want(lap == 0 ? 0 : Virtio.mask(Virtio.VIRTIO_F_VERSION_1))
                        .connectLikeQemu();
                assertEquals(OFFER, port.frontend.offered());
                offered = lap == 0 ? port.frontend.offered() : offered;
                assertEquals(offered, port.frontend.offered());
            }
        }
    }

    /** The pin of a port takes away what it names and nothing else. */
    @ParameterizedTest
    @ValueSource(ints = {15, 28, 29, 34, 35})
    void shouldOfferLessOnlyWhereThePortIsPinned_OVS_a5669fd51(final int bit) {
        final FeatureNegotiation pinned = new FeatureNegotiation(
                new DeviceOptions(1, bit != 15, bit != 29, bit != 28, bit != 35, bit != 34, true));
        assertEquals(OFFER & ~(1L << bit), pinned.offered());
        assertEquals(OFFER, new FeatureNegotiation(DeviceOptions.defaults()).offered());
    }

    /** Whatever an earlier connection had chosen, each one begins with nothing, and the garbage of one stays its own. */
    @Test
    void shouldRememberNoFeaturesOfAnEarlierConnection_snabb_1f27b5b42() {
        try (TestPort port = TestPort.running(folder)) {
            final long chosen = port.frontend.features();
            assertEquals(chosen, port.endpoint.features());
            port.frontend.disconnect();
            port.frontend.connectLikeQemu();
            assertEquals(0, port.endpoint.features());
            port.frontend.mustRefuse(() -> port.frontend.setFeatures(-1));
            assertEquals(0, port.endpoint.features());
            port.frontend.mustAck(() -> port.frontend.setFeatures(0));
            port.frontend.mustAck(() -> port.frontend.setFeatures(chosen & ~(1L << 29)));
            assertEquals(chosen & ~(1L << 29), port.endpoint.features());
            port.frontend.disconnect();
            port.frontend.reconnectLikeQemu(port.memory, port.vrings);
            port.fence();
            assertEquals(chosen, port.endpoint.features());
            port.assertRingsWork();
        }
    }

    @Test
    void shouldRunSeveralQueuePairsAsTheGuestChoosesThem() {
        try (TestPort port = TestPort.listening(folder, 4)) {
            port.frontend.connectLikeQemu(4);
            assertEquals(OFFER | 1L << 22, port.frontend.offered());
            assertEquals(4, port.frontend.getQueueNum());
            port.layOutRings();
            port.frontend.startLikeQemu(port.memory, port.vrings);
            for (final int count : new int[] {4, 1, 3, 2, 4}) {
                port.frontend.setQueuePairs(count);
                port.fence();
                for (int index = 0; index < 8; index++) {
                    assertTrue(port.recorder.isStarted(index));
                    assertEquals(index / 2 < count, port.recorder.isEnabled(index), "ring " + index);
                }
            }
            port.assertRingsWork();
        }
    }

    /** Calls, errs, enables, and on a fresh connection even stops, arrive for rings that have nothing else yet. */
    @Test
    void shouldTakeMessagesBeforeMemory() {
        try (TestPort port = TestPort.listening(folder);
                EventFd fd = EventFd.create(0)) {
            port.frontend.open();
            assertEquals(0, port.frontend.getVringBase(0, 0x5A5A5A5A));
            assertEquals(0, port.frontend.getVringBase(1, -1));
            for (int index = 0; index < 2; index++) {
                port.frontend.setVringEnable(index, true);
                port.frontend.setVringCall(index, fd.fd());
                port.frontend.setVringCallNoFd(index);
                port.frontend.setVringErr(index, fd.fd());
                port.frontend.setVringKick(index, fd.fd());
                port.frontend.setVringNum(index, 256);
                port.frontend.setVringBase(index, 7);
                port.frontend.setVringAddr(index, 0, 0x1000, 0x2000, 0x3000);
            }
            assertEquals(7, port.frontend.getVringBase(1));
            assertEquals(List.of(), port.recorder.takeEvents());
            assertEquals(Endpoint.State.DOWN, port.endpoint.state());
            assertEquals(0, fd.drain());
        }
    }

    /** A kick that came before the memory is remembered: the start then comes with the memory. */
    @Test
    void shouldStartRingsWhenMemoryComesLast() {
        try (TestPort port = TestPort.connected(folder)) {
            port.frontend.setFeatures(port.frontend.features());
            for (int index = 0; index < 2; index++) {
                port.frontend.setVring(index, port.memory, port.vrings[index].layout(), 0);
                port.frontend.setVringKick(
                        index, port.vrings[index].notifiers().kick().fd());
                port.frontend.setVringCall(
                        index, port.vrings[index].notifiers().call().fd());
            }
            port.fence();
            assertFalse(port.recorder.isStarted(0));
            port.frontend.sendMemTable(port.memory);
            assertTrue(port.recorder.isStarted(0) && port.recorder.isStarted(1));
            port.assertRingsWork();
        }
    }

    /** Without bit 30 there is no SET_VRING_ENABLE: SET_FEATURES enables all rings. */
    @Test
    void shouldEnableRingsWhenProtocolFeaturesAreNotAccepted() {
        try (TestPort port = TestPort.listening(folder)) {
            port.frontend.want(Virtio.mask(Virtio.VIRTIO_F_VERSION_1)).connectLikeQemu();
            port.layOutRings();
            port.frontend.startLikeQemu(port.memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.isEnabled(0) && port.recorder.isEnabled(1));
            assertEquals(Endpoint.State.UP, port.endpoint.state());
            port.assertRingsWork();
        }
    }

    /** rust-vmm 1d2368e: enabled survives a stop, virtio-user and QEMU rely on it. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void shouldKeepEnabledThroughStop(final boolean enabled) {
        try (TestPort port = TestPort.running(folder)) {
            port.frontend.setVringEnable(0, enabled);
            port.frontend.stop(port.vrings);
            assertEquals(enabled, port.recorder.isEnabled(0));
            assertFalse(port.recorder.isStarted(0));
        }
    }

    /** A call that fell due while the descriptors changed must not be lost. */
    @Test
    void shouldSignalNewCallOnceWhenItChangesWhileRunning() {
        try (TestPort port = TestPort.running(folder);
                EventFd call = EventFd.create(0)) {
            port.frontend.setVringCall(1, call.fd());
            port.fence();
            assertEquals(1, call.drain());
            port.frontend.setVringCallNoFd(1);
            port.fence();
            final DriverQueue transmitq = port.vrings[1];
            transmitq.addOne(0x120000, 64, false);
            transmitq.publish();
            assertEquals(1, port.recorder.run(0), "a driver without call descriptor polls");
            assertEquals(0, call.drain());
        }
    }
}

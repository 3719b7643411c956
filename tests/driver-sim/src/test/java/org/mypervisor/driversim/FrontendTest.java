package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.mypervisor.driversim.Virtio.mask;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The sequences of messages, compared with what was captured from QEMU 7.2 and DPDK 22.11. */
final class FrontendTest {
    @TempDir
    private Path folder;

    private Path path;

    @BeforeEach
    void choosePath() {
        path = folder.resolve("s");
    }

    @Test
    void shouldSpeakLikeQemuFromConnectToStop() throws IOException {
        try (FakeBackend backend = FakeBackend.listening(path);
                NetDriver net = NetDriver.launchLikeQemu(path, Virtio.LIKE_QEMU, NetOptions.defaults())) {
            net.stop();
            assertEquals(
                    List.of(
                            "GET_FEATURES",
                            "GET_PROTOCOL_FEATURES",
                            "SET_PROTOCOL_FEATURES",
                            "GET_QUEUE_NUM",
                            "SET_OWNER",
                            "GET_FEATURES",
                            "SET_VRING_CALL 0",
                            "SET_VRING_ERR 0",
                            "SET_VRING_CALL 1",
                            "SET_VRING_ERR 1",
                            "SET_VRING_ENABLE 0=1",
                            "SET_VRING_ENABLE 1=1",
                            "SET_VRING_ENABLE 0=1",
                            "SET_VRING_ENABLE 1=1",
                            "SET_FEATURES",
                            "SET_MEM_TABLE!",
                            "SET_VRING_NUM 0=256",
                            "SET_VRING_BASE 0=0",
                            "SET_VRING_ADDR 0",
                            "SET_VRING_KICK 0",
                            "SET_VRING_CALL 0",
                            "SET_VRING_NUM 1=256",
                            "SET_VRING_BASE 1=0",
                            "SET_VRING_ADDR 1",
                            "SET_VRING_KICK 1",
                            "SET_VRING_CALL 1",
                            "GET_VRING_BASE 0",
                            "GET_VRING_BASE 1"),
                    backend.log);
        }
    }

    @Test
    void shouldDisableAllButTheFirstPairAtTheFirstReset() throws IOException {
        try (FakeBackend backend = FakeBackend.listening(path);
                Frontend frontend = Frontend.client(path)) {
            frontend.connectLikeQemu(2);
            frontend.getStatus();
            assertEquals(
                    List.of(
                            "GET_FEATURES",
                            "GET_PROTOCOL_FEATURES",
                            "SET_PROTOCOL_FEATURES",
                            "GET_FEATURES",
                            "SET_VRING_CALL 2",
                            "SET_VRING_ERR 2",
                            "SET_VRING_CALL 3",
                            "SET_VRING_ERR 3",
                            "SET_VRING_ENABLE 0=1",
                            "SET_VRING_ENABLE 1=1",
                            "SET_VRING_ENABLE 2=0",
                            "SET_VRING_ENABLE 3=0",
                            "GET_STATUS"),
                    backend.log.subList(10, backend.log.size()));
        }
    }

    @Test
    void shouldSpeakLikeVirtioUser() throws IOException {
        try (FakeBackend backend = new FakeBackend(path, false, FakeBackend.OFFERED, mask(0, 1, 2, 3, 16));
                GuestMemoryFile memory = GuestMemoryFile.likeVirtioUser(16 << 20);
                Frontend frontend = Frontend.client(path).want(Virtio.LIKE_VIRTIO_USER)) {
            frontend.connectLikeVirtioUser(1);
            assertEquals(mask(0, 3, 16), frontend.protocolFeatures());
            try (NetDriver net = new NetDriver(frontend, memory, NetOptions.defaults())) {
                frontend.startLikeVirtioUser(memory, net.vrings());
                frontend.stopLikeVirtioUser(net.vrings());
            }
            assertEquals(
                    List.of(
                            "SET_OWNER",
                            "GET_FEATURES",
                            "GET_PROTOCOL_FEATURES",
                            "SET_PROTOCOL_FEATURES",
                            "SET_VRING_CALL 0",
                            "SET_VRING_CALL 1",
                            "SET_FEATURES",
                            "SET_STATUS!",
                            "GET_STATUS",
                            "GET_STATUS",
                            "SET_MEM_TABLE!",
                            "SET_VRING_NUM 0=256",
                            "SET_VRING_BASE 0=0",
                            "SET_VRING_ADDR 0",
                            "SET_VRING_KICK 0",
                            "SET_VRING_NUM 1=256",
                            "SET_VRING_BASE 1=0",
                            "SET_VRING_ADDR 1",
                            "SET_VRING_KICK 1",
                            "SET_VRING_ENABLE 0=1",
                            "SET_VRING_ENABLE 1=1",
                            "SET_STATUS!",
                            "SET_VRING_ENABLE 0=0",
                            "SET_VRING_ENABLE 1=0",
                            "GET_VRING_BASE 0",
                            "GET_VRING_BASE 1"),
                    backend.log);
        }
    }

    @Test
    void shouldAcceptOnlyWhatBothSidesHave() throws IOException {
        try (FakeBackend backend = new FakeBackend(path, false, mask(30, 32, 29), mask(0));
                Frontend frontend = Frontend.client(path).want(mask(30, 32, 15))) {
            frontend.connectLikeQemu();
            assertEquals(mask(30, 32), frontend.features());
            assertEquals(mask(30, 32, 29), frontend.offered());
            assertEquals(mask(0), frontend.protocolFeatures());
            assertEquals(
                    List.of(),
                    backend.log.stream().filter(line -> line.contains("!")).toList());
        }
    }

    @Test
    void shouldRefuseABackEndThatLostAFeature() throws IOException {
        final NetDriver net;
        try (FakeBackend backend = FakeBackend.listening(path)) {
            net = NetDriver.launchLikeQemu(path, mask(30, 32, 29), NetOptions.defaults());
            assertEquals(0, backend.log.indexOf("GET_FEATURES"));
        }
        try (net;
                FakeBackend poorer = new FakeBackend(path, false, mask(30, 32), mask(0, 3))) {
            final AssertionError error = assertThrows(AssertionError.class, net::reconnect);
            assertEquals("vhost lacks features 0x20000000", error.getMessage());
            assertFalse(poorer.log.contains("SET_FEATURES"));
        }
    }

    @Test
    void shouldSayThatNobodyListens() {
        try (Frontend client = Frontend.client(path);
                Frontend server = Frontend.server(folder.resolve("t"))) {
            client.setTimeout(Duration.ofMillis(30));
            server.setTimeout(Duration.ofMillis(30));
            assertThrows(AssertionError.class, client::open);
            assertThrows(AssertionError.class, server::open);
        }
    }

    @Test
    void shouldLeaveNothingBehindWhenClosed() throws IOException {
        long descriptors = 0;
        try (FakeBackend backend = FakeBackend.listening(path)) {
            for (int i = 0; i < 30; i++) {
                NetDriver.launchLikeQemu(path, Virtio.LIKE_QEMU, NetOptions.defaults())
                        .close();
                backend.awaitIdle();
                descriptors = i == 0 ? Resources.openDescriptors() : descriptors;
            }
            assertEquals(descriptors, Resources.openDescriptors());
            assertEquals(0, Resources.guestMappings());
        }
    }
}

package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;

/** Where frames go under each offload policy, design of the three traversal paths. */
final class MiddleboxTest {
    private static final List<String> PORTS = List.of("client", "server", "fw-in", "fw-out");
    private static final byte[] ALLOWED = ethernet(0x0806);
    private static final byte[] DENIED = ethernet(0x88cc);

    @TempDir
    private Path folder;

    private static byte[] ethernet(final int type) {
        final byte[] frame = new byte[60];
        frame[12] = (byte) (type >> 8);
        frame[13] = (byte) type;
        return frame;
    }

    private RunningBackend start(final String policy) throws IOException {
        final Path rules = Files.writeString(folder.resolve("acl.rules"), "deny ether type 0x88cc\n");
        return RunningBackend.withMiddlebox(
                folder,
                PORTS,
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload="
                        + policy.replace("FILTER", "filter(rules=" + rules + ")"));
    }

    private static NetDriver guest(final RunningBackend backend, final String port) {
        return backend.guest(port, LIKE_QEMU, NetOptions.defaults());
    }

    @Test
    void shouldHandEveryFrameToTheVmUnderNone() throws IOException {
        try (RunningBackend backend = start("none");
                NetDriver client = guest(backend, "client");
                NetDriver server = guest(backend, "server");
                NetDriver in = guest(backend, "fw-in");
                NetDriver out = guest(backend, "fw-out")) {
            client.transmit(DENIED);
            assertArrayEquals(DENIED, in.receive());
            server.transmit(ALLOWED);
            assertArrayEquals(ALLOWED, out.receive());
            out.transmit(ALLOWED);
            assertArrayEquals(ALLOWED, server.receive());
        }
    }

    @Test
    void shouldJudgeBeforeTheVmUnderFilter() throws IOException {
        try (RunningBackend backend = start("FILTER");
                NetDriver client = guest(backend, "client");
                NetDriver server = guest(backend, "server");
                NetDriver in = guest(backend, "fw-in");
                NetDriver out = guest(backend, "fw-out")) {
            client.transmit(DENIED);
            client.transmit(ALLOWED);
            assertArrayEquals(ALLOWED, in.receive());
            out.transmit(DENIED);
            assertArrayEquals(DENIED, server.receive(), "what the VM itself sends is its own affair");
        }
    }

    @Test
    void shouldPassTheVmByUnderFilterAndWire() throws IOException {
        try (RunningBackend backend = start("FILTER+wire");
                NetDriver client = guest(backend, "client");
                NetDriver server = guest(backend, "server");
                NetDriver in = guest(backend, "fw-in");
                NetDriver out = guest(backend, "fw-out")) {
            client.transmit(DENIED);
            client.transmit(ALLOWED);
            assertArrayEquals(ALLOWED, server.receive());
            server.transmit(ALLOWED);
            assertArrayEquals(ALLOWED, client.receive());
            in.transmit(ALLOWED);
            assertArrayEquals(ALLOWED, client.receive(), "the VM's own frames leave by their side");
            out.expectNoFrame(Duration.ofMillis(20));
            assertEquals(1, backend.port("fw-in").calls(), "only the completion of its own frame");
        }
    }

    @Test
    void shouldForwardWhileTheVmIsDownUnlessAskedNotTo() throws IOException {
        try (RunningBackend backend = start("FILTER+wire");
                NetDriver client = guest(backend, "client");
                NetDriver server = guest(backend, "server")) {
            client.transmit(ALLOWED);
            assertArrayEquals(ALLOWED, server.receive());
        }
        try (RunningBackend backend = start("FILTER+wire,vm-down=drop");
                NetDriver client = guest(backend, "client");
                NetDriver server = guest(backend, "server")) {
            client.transmit(ALLOWED);
            client.awaitTransmitted();
            server.expectNoFrame(Duration.ofMillis(20));
            assertEquals(
                    1,
                    backend.stats().paths().stream()
                            .mapToLong(path -> path.drops().get("vm_down"))
                            .sum());
        }
    }
}

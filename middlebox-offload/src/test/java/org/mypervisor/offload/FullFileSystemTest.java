package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.DriverRing;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;

/** A memory file with holes on a full file system: its size is right, and yet some pages cannot be had. */
@Timeout(60)
final class FullFileSystemTest {
    private static final byte[] FRAME = new byte[60];

    @TempDir
    private Path folder;

    private Path tmpfs;

    @BeforeEach
    void mountATmpfsOfItsOwn() throws Exception {
        tmpfs = Files.createDirectory(folder.resolve("tmpfs"));
        assumeTrue(
                run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmpfs.toString()),
                "this user may not mount a small tmpfs, so no file system can be filled");
    }

    @AfterEach
    void unmount() throws Exception {
        run("umount", "-l", tmpfs.toString());
    }

    private static boolean run(final String... command) throws Exception {
        return new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor()
                == 0;
    }

    private void fill(final String name) throws IOException {
        try (OutputStream out = Files.newOutputStream(tmpfs.resolve(name))) {
            final byte[] page = new byte[4096];
            assertThrows(IOException.class, () -> {
                for (; ; ) {
                    out.write(page);
                }
            });
        }
    }

    @Test
    void java_own_bufferInAPageThatCannotBeHadBreaksOnlyItsPort() throws IOException {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest a = connect(backend);
                Bystanders bystanders = new Bystanders(backend)) {
            a.driver().postReceiveBuffers();
            a.start();
            fill("rest");
            b.transmit(FRAME);
            a.awaitState("broken");
            bystanders.awaitMore();
            assertEquals("up", backend.port("b").state());
            b.transmit(FRAME);
            b.awaitTransmitted();
        }
    }

    @Test
    void java_own_usedRingInAPageThatCannotBeHadBreaksOnlyItsPort() throws IOException {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest a = connect(backend);
                Bystanders bystanders = new Bystanders(backend)) {
            final DriverRing ring = a.driver().splitTransmitq().ring();
            ring.writeDescriptor(0, ring.layout().descGpa(), 72, 0, 0);
            ring.writeAvailEntry(0, 0);
            a.start();
            fill("rest");
            ring.writeAvailIdx(1);
            a.driver().transmitq().kickAlways();
            // The worker, too, may take the page that became free: again until the filling is faster.
            for (int i = 0; i < 500 && !backend.port("a").state().equals("broken"); i++) {
                a.memory().punchHole(ring.layout().usedGpa() & -4096L, 4096);
                fill("more" + i);
            }
            a.awaitState("broken");
            bystanders.awaitMore();
            assertEquals("up", backend.port("b").state());
            b.transmit(FRAME);
            b.awaitTransmitted();
        }
    }

    private HandMadeGuest connect(final RunningBackend backend) {
        final HandMadeGuest guest = HandMadeGuest.connect(
                backend, "a", GuestMemoryFile.inFile(tmpfs.resolve("memory"), 16 << 20), NetOptions.defaults());
        // The rings' pages exist; those of most buffers do not.
        guest.driver().splitTransmitq().ring().zero();
        guest.driver().splitReceiveq().ring().zero();
        return guest;
    }
}

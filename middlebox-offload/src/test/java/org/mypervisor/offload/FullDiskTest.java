package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.VIRTQ_DESC_F_WRITE;

import java.io.IOException;
import java.io.RandomAccessFile;
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

/** A memory file with holes on a full disk: unlike those of a tmpfs they can be read, as zeros, but not written. */
@Timeout(60)
final class FullDiskTest {
    private static final long FAR_GPA = 12 << 20;
    private static final byte[] FRAME = new byte[60];

    @TempDir
    private Path folder;

    private Path disk;

    @BeforeEach
    void mountADiskOfItsOwn() throws Exception {
        final Path image = folder.resolve("image");
        try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
            file.setLength(8 << 20);
        }
        disk = Files.createDirectory(folder.resolve("disk"));
        assumeTrue(
                run("mkfs.ext4", "-q", "-O", "^has_journal", image.toString())
                        && run("mount", "-o", "loop", image.toString(), disk.toString()),
                "this user may not make and mount a small ext4, so no disk can be filled");
    }

    @AfterEach
    void unmount() throws Exception {
        run("umount", "-l", disk.toString());
    }

    private static boolean run(final String... command) throws Exception {
        try {
            return new ProcessBuilder(command)
                            .redirectErrorStream(true)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .start()
                            .waitFor()
                    == 0;
        } catch (final IOException e) {
            return false;
        }
    }

    /** What was set aside for the bookkeeping of files becomes free when they are on the disk, so once is not enough. */
    private void fill() throws Exception {
        int vain = 0;
        for (int i = 0; vain < 3; i++) {
            final long[] written = new long[1];
            try (RandomAccessFile rest =
                    new RandomAccessFile(disk.resolve("rest" + i).toFile(), "rw")) {
                final byte[] block = new byte[1024];
                assertThrows(IOException.class, () -> {
                    for (; ; written[0]++) {
                        rest.write(block);
                    }
                });
            }
            assertTrue(run("sync", "-f", disk.toString()));
            vain = written[0] == 0 ? vain + 1 : 0;
        }
    }

    @Test
    void java_own_bufferInAPageThatCanOnlyBeReadBreaksOnlyItsPort() throws Exception {
        try (RunningBackend backend = Bystanders.fourPorts(folder, false);
                NetDriver b = backend.guest("b", LIKE_QEMU, NetOptions.defaults());
                HandMadeGuest a = HandMadeGuest.connect(
                        backend, "a", GuestMemoryFile.inFile(disk.resolve("memory"), 16 << 20), NetOptions.defaults());
                Bystanders bystanders = new Bystanders(backend)) {
            // The rings' pages exist, and with them some around; the only buffer is far away.
            final DriverRing ring = a.driver().splitReceiveq().ring();
            a.driver().splitTransmitq().ring().zero();
            ring.zero();
            ring.writeDescriptor(0, FAR_GPA, 2048, VIRTQ_DESC_F_WRITE, 0);
            ring.writeAvailEntry(0, 0);
            ring.writeAvailIdx(1);
            a.start();
            fill();
            b.transmit(FRAME);
            a.awaitState("broken");
            bystanders.awaitMore();
            assertEquals("up", backend.port("b").state());
            b.transmit(FRAME);
            b.awaitTransmitted();
        }
    }
}

package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
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
        assumeTrue(
                Runtime.version().feature() > 17,
                "JDK 17 may not tell of a single failed access for seconds (docs/decisions/0003-memory-faults.md)");
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
        if (disk != null) {
            run("umount", "-l", disk.toString());
        }
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

    /**
     * Until neither other files nor the memory file's own holes get a block any more. What was set aside for the
     * bookkeeping of files becomes free when they are on the disk, so once is not enough.
     */
    private void fill() throws Exception {
        try (RandomAccessFile rest = new RandomAccessFile(disk.resolve("rest").toFile(), "rw");
                RandomAccessFile memory =
                        new RandomAccessFile(disk.resolve("memory").toFile(), "rw")) {
            long hole = FAR_GPA + (1 << 20);
            for (int vain = 0; vain < 5; vain++) {
                while (isWritten(rest, rest.length(), 1024)) {
                    vain = 0;
                }
                assertTrue(run("sync", "-f", disk.toString()));
                for (; isWritten(memory, hole, 4096); hole += 4096) {
                    vain = 0;
                }
                assertTrue(run("sync", "-f", disk.toString()));
            }
        }
    }

    private static boolean isWritten(final RandomAccessFile file, final long at, final int length) {
        try {
            file.seek(at);
            file.write(new byte[length]);
            return true;
        } catch (final IOException e) {
            return false;
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

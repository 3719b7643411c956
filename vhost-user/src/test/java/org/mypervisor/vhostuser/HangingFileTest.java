package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import jnr.ffi.LibraryLoader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Region;

/** A memory file on a file system whose server, the front-end itself, never answers. */
@Timeout(60)
class HangingFileTest {
    private static final int O_RDWR_CLOEXEC = 0x80002;
    private static final int O_PATH = 0x200000;
    private static final int MNT_DETACH = 2;
    private static final Mounts MOUNTS = LibraryLoader.create(Mounts.class).load("c");

    @TempDir
    Path folder;

    private Path file;
    private int server = -1;

    /** Of libc. */
    public interface Mounts {
        int mount(String source, String target, String type, long flags, String data);

        int umount2(String target, int flags);
    }

    @BeforeEach
    void mountAFileThatNobodyServes() throws IOException {
        file = Files.createFile(folder.resolve("file"));
        server = Libc.POSIX_CALLS.open("/dev/fuse", O_RDWR_CLOEXEC, 0);
        final String options = "fd=%d,rootmode=100000,user_id=0,group_id=0".formatted(server);
        assumeTrue(
                server >= 0 && MOUNTS.mount("hanging", file.toString(), "fuse", 0, options) == 0,
                "this user may not mount a FUSE file system");
    }

    /** Without a server all questions are answered, with an error. */
    @AfterEach
    void endTheServer() {
        close();
        MOUNTS.umount2(file.toString(), MNT_DETACH);
    }

    private void close() {
        if (server >= 0) {
            Libc.LIBC.close(server);
            server = -1;
        }
    }

    @Test
    void java_own_fileSystemThatNeverAnswersKeepsOnlyItsPortsThread() throws Exception {
        final int fd = Libc.POSIX_CALLS.open(file.toString(), O_PATH, 0);
        try (TestPort port = TestPort.connected(folder)) {
            port.frontend.setMemTable(List.of(new Region(0, 4096, 4096, 0)), fd);
            Thread.sleep(200);
            assertTimeoutPreemptively(Duration.ofSeconds(2), () -> {
                port.endpoint.watch();
                port.endpoint.breakIfCutShort();
                port.endpoint.breakMemory("hangs");
                assertEquals(Endpoint.State.DOWN, port.endpoint.state());
            });
            close();
            port.frontend.disconnect();
            port.assertServesTheNext();
        } finally {
            Libc.LIBC.close(fd);
        }
    }
}

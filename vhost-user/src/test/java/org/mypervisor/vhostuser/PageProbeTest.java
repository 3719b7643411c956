package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.virtqueue.RawMemory;

/** What the kernel says about pages, asked in the new way and in the old one. */
class PageProbeTest {
    private static final int PAGES = 16 * 4096;

    private int file;
    private long memory;

    @BeforeEach
    void map() {
        file = Libc.LIBC.memfd_create("pages", Libc.MFD_CLOEXEC);
        assertEquals(0, Libc.POSIX_CALLS.ftruncate(file, PAGES));
        memory = Libc.LIBC
                .mmap(null, PAGES, Libc.PROT_READ_WRITE, Libc.MAP_SHARED, file, 0)
                .address();
    }

    @AfterEach
    void unmap() {
        Libc.LIBC.munmap(memory, PAGES);
        Libc.LIBC.close(file);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void shouldLeaveContentsAloneWhenAllPagesCanBeHad(final boolean populates) throws IOException {
        RawMemory.putLe64(memory + 4096 + 8, 0x1234_5678_9abcL);
        try (PageProbe probe = new PageProbe(populates)) {
            assertTrue(probe.isReadable(memory + 4096 + 3, 5000));
            assertTrue(probe.isWritable(memory, PAGES));
            assertTrue(probe.isWritable(memory + PAGES - 1, 1));
        }
        assertEquals(0x1234_5678_9abcL, RawMemory.le64(memory + 4096 + 8));
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void shouldFindOnePageThatIsGone(final boolean populates) throws IOException {
        assertEquals(0, Libc.POSIX_CALLS.ftruncate(file, PAGES - 4096));
        try (PageProbe probe = new PageProbe(populates)) {
            assertTrue(probe.isReadable(memory, PAGES - 4096));
            assertTrue(probe.isWritable(memory, PAGES - 4096));
            assertFalse(probe.isReadable(memory, PAGES - 4095));
            assertFalse(probe.isWritable(memory + PAGES - 4097, 2));
        }
    }
}

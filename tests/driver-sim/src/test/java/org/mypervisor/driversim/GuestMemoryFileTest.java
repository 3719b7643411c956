package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

final class GuestMemoryFileTest {
    @Test
    void shouldLayRegionsOutInTheFileAsTheTableSays() {
        final Region low = new Region(0x1000, 0x2000, 0x7000_0000, 0x5000);
        final Region high = new Region(0x3000, 0x1000, 0x9000_0000L, 0x1000);
        try (GuestMemoryFile memory = new GuestMemoryFile(List.of(low, high));
                GuestMemory file = new GuestMemory()) {
            file.map(new Region(0, memory.fileSize(), 0, 0), memory.fd());
            memory.putLe32(0x1ffc, 0xAABBCCDDL);
            memory.putLe16(0x3002, 0xFFFE);
            assertEquals(0x7000, memory.fileSize());
            assertArrayEquals(new byte[] {(byte) 0xDD, (byte) 0xCC, (byte) 0xBB, (byte) 0xAA}, file.read(0x5ffc, 4));
            assertEquals(0xFFFE, file.le16(0x1002));
        }
    }

    @Test
    void shouldReadAndWriteOverAdjacentRegionsAndStopAtHoles() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0x1000, 0x1000, 0x2000, 0x1000, 0x8000, 0x1000)) {
            memory.write(0x1ffd, new byte[] {1, 2, 3, 4, 5});
            assertArrayEquals(new byte[] {1, 2, 3, 4, 5}, memory.read(0x1ffd, 5));
            assertEquals(4, memory.u8(0x2000));
            assertTrue(memory.isMapped(0x1000, 0x2000));
            assertFalse(memory.isMapped(0x1000, 0x2001));
            assertFalse(memory.isMapped(0x3000, 0));
            assertFalse(memory.isMapped(-16, 32));
            assertThrows(IndexOutOfBoundsException.class, () -> memory.write(0x2fff, new byte[2]));
        }
    }

    @Test
    void shouldTranslateBetweenGpaAndUvaThatDiffer() {
        try (GuestMemoryFile memory = GuestMemoryFile.likeQemu(4 << 20)) {
            final Region high = memory.table().get(1);
            assertEquals(0x100000, high.gpa());
            assertNotEquals(high.gpa(), high.uva());
            assertNotEquals(high.gpa(), high.mmapOffset());
            assertEquals(high.uva() + 0x1234, memory.uvaOf(0x101234));
            assertEquals(0x101234, memory.gpaOf(memory.uvaOf(0x101234)));
        }
    }

    @Test
    void shouldGrowPunchHolesAndTruncate() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 0x4000)) {
            memory.putU8(0x2000, 7);
            memory.putU8(0x3000, 8);
            memory.punchHole(0x2000, 0x1000);
            assertEquals(0, memory.u8(0x2000));
            assertEquals(8, memory.u8(0x3000));
            final Region more = memory.grow(0x10_0000, 0x2000);
            assertEquals(List.of(memory.regions().get(0), more), memory.table());
            memory.putLe64(0x10_1ff8, -2);
            assertEquals(-2, memory.le64(0x10_1ff8));
            memory.remove(more);
            assertThrows(IndexOutOfBoundsException.class, () -> memory.u8(0x10_0000));
            memory.truncate(0x4000);
            assertEquals(0x4000, memory.fileSize());
        }
    }

    @Test
    void shouldAllocateAlignedAndApart() {
        try (GuestMemoryFile memory = GuestMemoryFile.likeQemu(4 << 20)) {
            final long first = memory.allocate(10, 16);
            final long second = memory.allocate(10, 4096);
            assertEquals(0, first % 16);
            assertEquals(0, second % 4096);
            assertTrue(second >= first + 10);
            assertThrows(IllegalStateException.class, () -> memory.allocate(5 << 20, 1));
        }
    }

    @Test
    void shouldLeaveNothingBehindWhenClosed() throws IOException {
        GuestMemoryFile.likeQemu(4 << 20).close();
        final long descriptors = Resources.openDescriptors();
        for (int i = 0; i < 50; i++) {
            final GuestMemoryFile memory = GuestMemoryFile.likeQemu(4 << 20);
            memory.grow(1 << 30, 4096);
            memory.close();
            memory.close();
        }
        assertEquals(descriptors, Resources.openDescriptors());
        assertEquals(0, Resources.guestMappings());
    }
}

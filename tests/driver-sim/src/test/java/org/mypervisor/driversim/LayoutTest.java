package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Pins numbers and byte layouts to the specifications, as literal bytes. */
final class LayoutTest {
    private static final long DESC = 0x1000;
    private static final long AVAIL = 0x2000;
    private static final long USED = 0x3000;

    @Test
    void shouldLayDescriptorsAndAvailRingOutAsVirtioSays() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 0x10000);
                SplitDriver driver = new SplitDriver(memory, new SplitLayout(4, DESC, AVAIL, USED), Virtio.mask(29))) {
            driver.add(List.of(Buffer.readable(0x1122334455667788L, 0xAABBCCDDL), Buffer.writable(0x99, 5)));
            driver.publish();
            driver.ring().writeUsedEvent(0x0708);
            driver.ring().writeAvailFlags(1);
            assertEquals(
                    "8877665544332211" + "ddccbbaa" + "0100" + "0100" // NEXT, next 1
                            + "9900000000000000" + "05000000" + "0200" + "0000", // WRITE
                    hex(memory, DESC, 32));
            assertEquals("0100" + "0100" + "0000000000000000" + "0807", hex(memory, AVAIL, 14));
        }
    }

    @Test
    void shouldReadTheUsedRingWhereVirtioSays() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 0x10000);
                SplitDriver driver = new SplitDriver(memory, new SplitLayout(2, DESC, AVAIL, USED), Virtio.mask(29))) {
            driver.addOne(0, 1, true);
            driver.addOne(0, 1, true);
            memory.write(
                    USED,
                    HexFormat.of()
                            .parseHex("0100" + "0200" + "01000000" + "07000000" + "00000000" + "09000000" + "3412"));
            assertEquals(new UsedElement(1, 7), driver.pollUsed());
            assertEquals(new UsedElement(0, 9), driver.pollUsed());
            assertEquals(1, driver.ring().usedFlags());
            assertEquals(0x1234, driver.ring().availEvent());
        }
    }

    @Test
    void shouldWriteIndirectTables() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 0x10000);
                SplitDriver driver = new SplitDriver(memory, new SplitLayout(4, DESC, AVAIL, USED), 0)) {
            driver.add(List.of(Buffer.readable(0x40, 12)), List.of(Buffer.readable(0x50, 1), Buffer.readable(0x60, 2)));
            final long table = memory.le64(DESC + 16);
            assertEquals("20000000" + "0400" + "0000", hex(memory, DESC + 24, 8)); // 32 bytes, INDIRECT
            assertEquals(
                    "5000000000000000" + "01000000" + "0100" + "0100" + "6000000000000000" + "02000000" + "0000"
                            + "0000",
                    hex(memory, table, 32));
        }
    }

    @Test
    void shouldLayPackedDescriptorsOutAsVirtioSays() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 0x10000);
                PackedDriver driver =
                        new PackedDriver(memory, new PackedLayout(3, DESC, AVAIL, USED), Virtio.mask(29))) {
            driver.addOne(0x98, 4, false);
            driver.publish();
            assertEquals("9800000000000000" + "04000000" + "0000" + "8000", hex(memory, DESC, 16)); // AVAIL
            memory.write(DESC + 8, HexFormat.of().parseHex("00000000" + "0000" + "8080")); // AVAIL, USED
            assertEquals(new UsedElement(0, 0), driver.pollUsed());
            driver.addOne(0x97, 1, false);
            driver.add(List.of(Buffer.readable(0x1122334455667788L, 0xAABBCCDDL), Buffer.writable(0x99, 5)));
            driver.publish();
            assertEquals(
                    "9900000000000000" + "05000000" + "0100" + "0280" // WRITE, USED: the driver's wrap counter is 0
                            + "9700000000000000" + "01000000" + "0000" + "8000"
                            + "8877665544332211" + "ddccbbaa" + "0100" + "8100", // NEXT, AVAIL
                    hex(memory, DESC, 48));
        }
    }

    @Test
    void shouldWriteAndReadEventSuppressionWhereVirtioSays() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 0x10000);
                PackedDriver driver =
                        new PackedDriver(memory, new PackedLayout(3, DESC, AVAIL, USED), Virtio.mask(29))) {
            driver.enableInterrupts();
            assertEquals("0080" + "0200", hex(memory, AVAIL, 4)); // descriptor 0, wrap counter 1
            driver.disableInterrupts();
            assertEquals("0100", hex(memory, AVAIL + 2, 2));
            memory.write(USED, HexFormat.of().parseHex("3482" + "0200"));
            assertEquals(0x8234, driver.ring().deviceEventOffset());
            assertEquals(2, driver.ring().deviceEventFlags());
        }
    }

    @Test
    void shouldWriteIndirectTablesOfPackedRingsWithoutLinks() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 0x10000);
                PackedDriver driver = new PackedDriver(memory, new PackedLayout(3, DESC, AVAIL, USED), 0)) {
            driver.addIndirect(List.of(Buffer.readable(0x50, 1), Buffer.writable(0x60, 2)));
            driver.publish();
            assertEquals("20000000" + "0000" + "8400", hex(memory, DESC + 8, 8)); // 32 bytes, INDIRECT, AVAIL
            assertEquals(
                    "5000000000000000" + "01000000" + "0000" + "0000" + "6000000000000000" + "02000000" + "0000"
                            + "0200",
                    hex(memory, memory.le64(DESC), 32));
        }
    }

    @Test
    void shouldTakeBasesOfPackedRingsApart() {
        assertEquals(new PackedBase(0, true, 0, true), PackedBase.of(PackedBase.FIRST));
        assertEquals(new PackedBase(0, true, 0, true), PackedBase.of(0x8000));
        assertEquals(new PackedBase(5, false, 0x7FFF, true), PackedBase.of(0xFFFF_0005));
        assertEquals(new PackedBase(5, false, 5, false), PackedBase.of(5));
        assertEquals(0xFFFF_0005, new PackedBase(5, false, 0x7FFF, true).encode());
    }

    @Test
    void shouldSizeRingParts() {
        assertEquals(4096, SplitLayout.descBytes(256));
        assertEquals(518, SplitLayout.availBytes(256));
        assertEquals(2054, SplitLayout.usedBytes(256));
        assertEquals(4080, PackedLayout.descBytes(255));
    }

    @Test
    void shouldNumberRequestsWithoutGaps() {
        for (final Request request : Request.values()) {
            assertEquals(request.ordinal() + 1, request.number());
        }
        assertEquals(5, Request.SET_MEM_TABLE.number());
        assertEquals(11, Request.GET_VRING_BASE.number());
        assertEquals(18, Request.SET_VRING_ENABLE.number());
        assertEquals(21, Request.SET_BACKEND_REQ_FD.number());
        assertEquals(37, Request.ADD_MEM_REG.number());
        assertEquals(45, Request.GET_VRING_BASE_SKIP_DRAIN.number());
    }

    @Test
    void shouldMakeMasksOfFeatureBits() {
        assertEquals(0x1_0000_0000L, Virtio.mask(Virtio.VIRTIO_F_VERSION_1));
        assertEquals(0x1_7060_8008L, Virtio.LIKE_QEMU);
        assertEquals(10, Virtio.netHeaderSize(0x4000_0000L));
        assertEquals(12, Virtio.netHeaderSize(0x8000L));
        assertEquals(12, Virtio.netHeaderSize(0x4_0000_0000L));
        assertEquals(12, Virtio.netHeaderSize(0x1_0000_0000L));
    }

    private static String hex(final GuestMemory memory, final long gpa, final int length) {
        return HexFormat.of().formatHex(memory.read(gpa, length));
    }
}

package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.mypervisor.virtqueue.GuestMemory.UNMAPPED;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mypervisor.virtqueue.GuestMemory.Region;

/** Addresses of this class are never accessed, so they may be anything. */
class GuestMemoryTest {
    private static final long LOW = 0x1000;
    private static final long LOW_SIZE = 0x2000;
    private static final long NEXT = LOW + LOW_SIZE;
    private static final long NEXT_SIZE = 0x4000;
    private static final long TOP_SIZE = 0x1000;
    private static final long TOP = -TOP_SIZE;

    private final GuestMemory memory = new GuestMemory(List.of(
            new Region(NEXT, 0x7000_0000L, NEXT_SIZE, 0x20_0000),
            new Region(LOW, 0x9000_0000L, LOW_SIZE, 0x10_0000),
            new Region(TOP, 0x8000_0000_0000_0000L, TOP_SIZE, 0x30_0000)));

    @Test
    void shouldTranslateFirstAndLastByteOfARegion() {
        assertEquals(0x10_0000, memory.translate(LOW, 1));
        assertEquals(0x10_0000 + LOW_SIZE - 1, memory.translate(LOW + LOW_SIZE - 1, 1));
        assertEquals(0x20_0000, memory.translate(NEXT, 1));
        assertEquals(UNMAPPED, memory.translate(LOW - 1, 1));
        assertEquals(UNMAPPED, memory.translate(NEXT + NEXT_SIZE, 1));
    }

    @Test
    void shouldTranslateWholeRegion() {
        assertEquals(0x10_0000, memory.translate(LOW, LOW_SIZE));
        assertEquals(0x20_0000, memory.translate(NEXT, NEXT_SIZE));
    }

    @Test
    void shouldRefuseRangeThatLeavesItsRegion_CVE_2018_1059() {
        assertEquals(UNMAPPED, memory.translate(LOW, LOW_SIZE + 1));
        assertEquals(UNMAPPED, memory.translate(NEXT + NEXT_SIZE - 1, 2));
        assertEquals(UNMAPPED, memory.translate(LOW - 1, 2));
        assertEquals(UNMAPPED, memory.translateUva(0x9000_0000L + LOW_SIZE - 1, 2));
    }

    @Test
    void shouldRefuseRangeThatGoesOnInAnAdjacentRegionElsewhere() {
        // Adjacent in guest memory, far apart in ours: one host address cannot stand for both.
        assertEquals(UNMAPPED, memory.translate(NEXT - 1, 2));
    }

    @ParameterizedTest
    @CsvSource({
        "0x1000, -1",
        "0x1fff, -4096",
        "0x1000, 0x7fffffffffffffff",
        "0x1000, -0x8000000000000000",
        "-1, 2",
        "-1, -1",
        "-0x1000, 0x1001",
        "-0x1000, -1",
        "-0x800, 0x1800",
        "0, -1",
        "0, 0x1001"
    })
    void shouldRefuseRangesThatOverflow(final String address, final String length) {
        assertEquals(UNMAPPED, memory.translate(Long.decode(address), Long.decode(length)));
    }

    @Test
    void shouldTranslateUpToTheLastAddressThereIs() {
        assertEquals(0x30_0000, memory.translate(TOP, TOP_SIZE));
        assertEquals(0x30_0FFF, memory.translate(-1, 1));
        assertEquals(1, memory.contiguousFrom(-1));
    }

    @Test
    void shouldStillNeedAMappedAddressWhenLengthIsZero_CVE_2020_10725() {
        assertEquals(0x10_0000, memory.translate(LOW, 0));
        assertEquals(UNMAPPED, memory.translate(LOW - 1, 0));
        assertEquals(UNMAPPED, memory.translate(NEXT + NEXT_SIZE, 0));
        assertEquals(UNMAPPED, memory.translate(0, 0));
    }

    @Test
    void shouldKeepTheTwoAddressSpacesApart() {
        assertEquals(0x20_0010, memory.translateUva(0x7000_0010L, 16));
        assertEquals(UNMAPPED, memory.translate(0x7000_0010L, 16));
        assertEquals(UNMAPPED, memory.translateUva(LOW, 16));
        assertEquals(0x30_0000, memory.translateUva(0x8000_0000_0000_0000L, TOP_SIZE));
    }

    @Test
    void shouldTellHowFarARegionGoes() {
        assertEquals(LOW_SIZE, memory.contiguousFrom(LOW));
        assertEquals(1, memory.contiguousFrom(NEXT - 1));
        assertEquals(NEXT_SIZE, memory.contiguousFrom(NEXT));
        assertEquals(0, memory.contiguousFrom(LOW - 1));
        assertEquals(0, memory.contiguousFrom(NEXT + NEXT_SIZE));
    }

    @Test
    void shouldMapNothingWithoutRegions() {
        final GuestMemory none = new GuestMemory(List.of());
        assertEquals(UNMAPPED, none.translate(0, 0));
        assertEquals(UNMAPPED, none.translateUva(0, 1));
        assertEquals(0, none.contiguousFrom(0));
    }

    @ParameterizedTest
    @CsvSource({"0, 0, 0, 0", "0, 0, -1, 0", "-0x1000, 0, 0x1001, 0", "0, -0x1000, 0x1001, 0", "0, 0, 0x1001, -0x1000"})
    void shouldRefuseRegionThatDoesNotFitItsAddressSpace(
            final String gpa, final String uva, final String size, final String host) {
        assertThrows(
                IllegalArgumentException.class,
                () -> new Region(Long.decode(gpa), Long.decode(uva), Long.decode(size), Long.decode(host)));
    }
}

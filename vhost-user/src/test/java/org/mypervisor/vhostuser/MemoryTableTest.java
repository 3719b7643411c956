package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.Message;
import org.mypervisor.driversim.Region;
import org.mypervisor.driversim.Request;

/** SET_MEM_TABLE: what is refused leaves the old table and the rings as they were, and nothing open or mapped. */
@Timeout(30)
class MemoryTableTest {
    private static final long UVA = 0x7000_0000_0000L;
    private static final long SIZE = 0x10000;

    @TempDir
    Path folder;

    /** The file has 4 MiB and 0x6000 bytes; rings run, and go on after each refusal. */
    private void assertRefused(final Region... regions) {
        try (TestPort port = TestPort.running(folder)) {
            port.assertRingsWork();
            port.recorder.takeEvents();
            final ProcessState before = ProcessState.now();
            final int[] fds = new int[regions.length];
            java.util.Arrays.fill(fds, port.memory.fd());
            port.frontend.mustRefuse(() -> port.frontend.setMemTable(List.of(regions), fds));
            before.awaitSame();
            assertEquals(List.of(), port.recorder.takeEvents());
            port.assertRingsWork();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0x10000", // the same
        "0xf000, 0x1000", // its last page
        "0x8000, 0x2000", // inside it
        "-0x1000, 0x2000", // one page of it from below
        "-0x1000, 0x20000" // all around it
    })
    void shouldRefuseOverlap(final String distance, final String size) {
        final long offset = Long.decode(distance);
        final Region first = new Region(0x10_0000, SIZE, UVA, 0);
        assertRefused(first, new Region(0x10_0000 + offset, Long.decode(size), UVA + 0x1000_0000L, 0));
        assertRefused(first, new Region(0x4000_0000L, Long.decode(size), UVA + offset, 0));
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0, 0, 0", // empty
        "0, 0, 0, -1", // longer than anything
        "-0x1000, 0, 0, 0x2000", // gpa goes over the end
        "0, -0x1000, 0, 0x2000", // uva does
        "-0x1000, 0, 0, 0x1001",
        "0, 0, -0x1000, 0x1000", // offset
        "0, 0, 0x7ffffffffffff000, 0x1000", // CVE-2020-10722: offset + size overflows
        "0, 0, 0x1000, 0x7fffffffffffffff",
        "0, 0, -0x8000000000000000, -0x8000000000000000",
        "0, 0, 0, 0x10000000", // spdk#1183: more than the file has
        "0, 0, 0x406000, 0x1000", // behind its end
        "0, 0, 0x405000, 0x1001" // one byte behind its end
    })
    void shouldRefuseRegionThatDoesNotFit_CVE_2020_10722(
            final String gpa, final String uva, final String offset, final String size) {
        assertRefused(new Region(Long.decode(gpa), Long.decode(size), Long.decode(uva), Long.decode(offset)));
        assertRefused(
                new Region(0x5000_0000L, SIZE, UVA, 0),
                new Region(Long.decode(gpa), Long.decode(size), Long.decode(uva), Long.decode(offset)));
    }

    @Test
    void shouldRefuseMoreThan8Regions() {
        final List<Region> nine = new ArrayList<>();
        for (int i = 0; i < 9; i++) {
            nine.add(new Region(i * SIZE, SIZE, UVA + i * SIZE, 0));
        }
        assertRefused(nine.toArray(Region[]::new));
        try (TestPort port = TestPort.connected(folder)) {
            final int[] fds = Collections.nCopies(8, port.memory.fd()).stream()
                    .mapToInt(fd -> fd)
                    .toArray();
            port.frontend.mustAck(() -> port.frontend.setMemTable(nine.subList(0, 8), fds));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3, 8})
    void shouldRefuseOtherNumberOfDescriptors_CVE_2019_14818(final int count) {
        try (TestPort port = TestPort.running(folder)) {
            final ProcessState before = ProcessState.now();
            final int[] fds = Collections.nCopies(count, port.memory.fd()).stream()
                    .mapToInt(fd -> fd)
                    .toArray();
            port.frontend.mustRefuse(() -> port.frontend.setMemTable(port.memory.table(), fds));
            before.awaitSame();
            port.assertRingsWork();
        }
    }

    /** nregions is 32 bits, and the payload must hold so many. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 9, 256, 65536, 0x8000_0000, 0x0800_0002, -1})
    void shouldRefuseCountThatItsPayloadDoesNotHold(final int count) {
        try (TestPort port = TestPort.connected(folder)) {
            final byte[] payload =
                    Message.littleEndian(8 + 2 * 32).putInt(count).array();
            final int[] fds = {port.memory.fd(), port.memory.fd()};
            port.frontend.mustRefuse(() -> port.frontend.request(Request.SET_MEM_TABLE, payload, fds));
        }
    }

    @Test
    void shouldRefuseDescriptorThatIsNotAFileInMemory() {
        try (TestPort port = TestPort.running(folder)) {
            final ProcessState before = ProcessState.now();
            final Region region = new Region(0, 0x1000, UVA, 0);
            final int eventfd = port.vrings[0].notifiers().kick().fd();
            port.frontend.mustRefuse(() -> port.frontend.setMemTable(List.of(region), eventfd));
            port.frontend.mustRefuse(() -> port.frontend.setMemTable(List.of(region), 0));
            before.awaitSame();
            port.assertRingsWork();
        }
    }

    /** QEMU sends the table again at each start: the same one keeps mappings and rings as they are. */
    @Test
    void shouldKeepMappingsWhenTheSameTableComesAgain_spdk_378() {
        try (TestPort port = TestPort.running(folder)) {
            port.recorder.takeEvents();
            final ProcessState before = ProcessState.now();
            for (int i = 0; i < 20; i++) {
                port.frontend.sendMemTable(port.memory);
            }
            before.awaitSame();
            assertEquals(List.of(), port.recorder.takeEvents());
            port.assertRingsWork();
        }
    }

    /** VPP 4442f7cb2eb, 21d9fb6bad: rings move to the new mappings before the acknowledgement, and go on. */
    @Test
    void shouldMoveRunningRingsWhenMemoryGrowsAndShrinks_04c27cb673_VPP_1406() {
        try (TestPort port = TestPort.running(folder)) {
            final ProcessState before = ProcessState.now();
            for (int lap = 1; lap <= 3; lap++) {
                port.assertRingsWork();
                port.recorder.takeEvents();
                final Region hotplugged = port.memory.grow(0x1_0000_0000L, 1 << 20);
                port.frontend.sendMemTable(port.memory);
                final int index = 3 * lap - 2;
                assertEquals(
                        List.of("stop 0", "stop 1", "start 0 at " + index, "start 1 at " + index),
                        port.recorder.takeEvents());
                port.assertRingsWork();
                port.vrings[1].addOne(hotplugged.gpa(), 64, false);
                port.vrings[1].publish();
                port.vrings[0].addOne(hotplugged.gpa(), 64, true);
                port.vrings[0].publish();
                assertEquals(2, port.recorder.run(0));
                assertTrue(port.vrings[0].nextUsed() && port.vrings[1].nextUsed());
                port.memory.remove(hotplugged);
                port.frontend.sendMemTable(port.memory);
            }
            before.awaitSame();
        }
    }

    /** Same places, other bytes: a table is the same only if its files are. */
    @Test
    void shouldMapAnewWhenOnlyTheFileDiffers() {
        try (TestPort port = TestPort.running(folder);
                GuestMemoryFile other = GuestMemoryFile.likeQemu(4 << 20)) {
            port.assertRingsWork();
            port.recorder.takeEvents();
            port.frontend.sendMemTable(other);
            assertEquals(List.of("stop 0", "stop 1", "start 0 at 0", "start 1 at 0"), port.recorder.takeEvents());
            port.frontend.sendMemTable(port.memory);
            assertTrue(port.recorder.takeEvents().contains("start 1 at 1"));
            port.assertRingsWork();
        }
    }

    @Test
    void shouldStopRingsThatANewTableDoesNotHold() {
        try (TestPort port = TestPort.running(folder)) {
            port.frontend.mustAck(() -> port.frontend.setMemTable(List.of()));
            assertFalse(port.recorder.isStarted(0) || port.recorder.isStarted(1));
            assertEquals(1, port.frontend.err(1).drain());
            port.assertServesTheNext();
        }
    }

    /** Java's own: memory that the front-end cuts short under us costs its port, never the process. */
    @Test
    void shouldBreakPortWhenItsFileIsCutShort() {
        try (TestPort port = TestPort.running(folder)) {
            assertFalse(port.endpoint.breakIfCutShort());
            final long whole = port.memory.fileSize();
            port.memory.truncate(whole - 4096);
            assertTrue(port.endpoint.breakIfCutShort());
            assertEquals(Endpoint.State.BROKEN, port.endpoint.state());
            assertFalse(port.recorder.isStarted(0) || port.recorder.isStarted(1));
            assertEquals(1, port.frontend.err(0).drain());
            port.frontend.mustRefuse(() -> port.frontend.setMemTable(port.memory.table(), port.memory.tableFds()));
            port.memory.truncate(whole);
            port.assertServesTheNext();
            assertEquals(Endpoint.State.UP, port.endpoint.state());
        }
    }

    /** As above, found out when a ring starts in pages that are gone. */
    @Test
    void shouldSurviveStartInPagesThatAreGone() {
        try (TestPort port = TestPort.connected(folder)) {
            port.frontend.sendMemTable(port.memory);
            final long whole = port.memory.fileSize();
            port.memory.truncate(0);
            for (int lap = 0; lap < 20; lap++) {
                for (int index = 0; index < 2; index++) {
                    port.frontend.setVring(index, port.memory, port.vrings[index].layout(), 0);
                    port.frontend.setVringKickNoFd(index);
                }
                port.fence();
            }
            assertEquals(Endpoint.State.BROKEN, port.endpoint.state());
            port.memory.truncate(whole);
            port.assertServesTheNext();
        }
    }
}

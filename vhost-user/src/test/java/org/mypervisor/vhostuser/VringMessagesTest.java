package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.EventFd;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.Message;
import org.mypervisor.driversim.Region;
import org.mypervisor.driversim.Request;
import org.mypervisor.driversim.Virtio;
import org.mypervisor.virtqueue.RingFault;

/** Values in messages about rings and features: what is refused, and what a refusal leaves as it was. */
@Timeout(30)
class VringMessagesTest {
    @TempDir
    Path folder;

    private static void assertRefused(final TestPort port, final Request request, final byte[] payload) {
        port.frontend.mustRefuse(() -> port.frontend.request(request, payload));
    }

    /** c78d94189d: all 32 bits of an index count. 65536 and 2^32-2 would be rings 0 and, as 16 bits, 65534. */
    @ParameterizedTest
    @EnumSource(names = {"SET_VRING_NUM", "SET_VRING_BASE", "SET_VRING_ENABLE", "SET_VRING_ADDR"})
    void shouldRefuseIndexBeyondOurRings_CVE_2020_10723_rust_vmm_211(final Request request) {
        try (TestPort port = TestPort.connected(folder)) {
            for (final int index : new int[] {2, 255, 256, 65536, 65537, 0x8000_0000, 0x8000_0001, -1}) {
                final byte[] payload = request == Request.SET_VRING_ADDR ? new byte[40] : Message.state(index, 1);
                ByteBuffer.wrap(payload).order(java.nio.ByteOrder.LITTLE_ENDIAN).putInt(index);
                assertRefused(port, request, payload);
            }
            port.assertServesTheNext();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 256, 65536, 65537, 0x8000_0000, -1})
    void shouldCloseWhenBaseOfARingBeyondOursIsWanted_CVE_2020_10723(final int index) {
        try (TestPort port = TestPort.connected(folder)) {
            port.frontend.request(Request.GET_VRING_BASE, Message.state(index, 0));
            port.frontend.socket().expectClosed();
            port.assertServesTheNext();
        }
    }

    /** Bits 0-7 are the index, bit 8 says that no descriptor comes; the others have no meaning yet. */
    @ParameterizedTest
    @EnumSource(names = {"SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"})
    void shouldRefuseNotificationForRingBeyondOurs_CVE_2020_10723(final Request request) {
        try (TestPort port = TestPort.connected(folder)) {
            for (final long word : new long[] {0x102, 0x1FF, 0x10100, 0x1_0000_0100L, 0x300, -1}) {
                assertRefused(port, request, Message.u64(word));
            }
            port.assertServesTheNext();
        }
    }

    /** virtio 1.2 §2.7: a power of two up to 32768. */
    @ParameterizedTest
    @ValueSource(ints = {0, 3, 255, 32769, 65536, 0x8000_0000, -1})
    void shouldRefuseRingSize(final int size) {
        try (TestPort port = TestPort.connected(folder)) {
            assertRefused(port, Request.SET_VRING_NUM, Message.state(0, size));
        }
    }

    /** virtio 1.2 §2.8: any size up to 32768, once the format is chosen. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3, 255, 32767, 32768})
    void shouldTakeOddRingSizeForPackedRingsOnly(final int size) {
        try (TestPort port = TestPort.connected(folder, Virtio.LIKE_QEMU_PACKED)) {
            if (Integer.bitCount(size) != 1) {
                assertRefused(port, Request.SET_VRING_NUM, Message.state(0, size));
                port.frontend.disconnect();
                port.frontend.connectLikeQemu();
            }
            port.frontend.setFeatures(port.frontend.features());
            port.frontend.setVringNum(0, size);
            port.fence();
            assertRefused(port, Request.SET_VRING_NUM, Message.state(0, 32769));
        }
        try (TestPort port = TestPort.connected(folder, Virtio.LIKE_QEMU_PACKED)) {
            port.frontend.setFeatures(port.frontend.features());
            for (final int wrong : new int[] {0, 65536, 0x8000_0000, -1}) {
                assertRefused(port, Request.SET_VRING_NUM, Message.state(0, wrong));
            }
        }
    }

    /** Features without packed rings may be accepted later, for another driver: its ring of 7 cannot start. */
    @Test
    void shouldNotStartSplitRingOfOddSize() {
        try (TestPort port = TestPort.running(folder, Virtio.LIKE_QEMU_PACKED)) {
            port.frontend.stop(port.vrings);
            port.frontend.setFeatures(port.frontend.features() & ~Virtio.mask(Virtio.VIRTIO_F_RING_PACKED));
            for (int index = 0; index < 2; index++) {
                port.frontend.setVringKick(
                        index, port.vrings[index].notifiers().kick().fd());
            }
            port.fence();
            assertTrue(!port.recorder.isStarted(0) && !port.recorder.isStarted(1));
        }
    }

    @ParameterizedTest
    @CsvSource({"SET_VRING_BASE, 65536", "SET_VRING_BASE, -1", "SET_VRING_ENABLE, 2", "SET_VRING_ENABLE, -1"})
    void shouldRefuseNumOutOfRange(final Request request, final int num) {
        try (TestPort port = TestPort.connected(folder)) {
            assertRefused(port, request, Message.state(0, num));
        }
    }

    /** A pipe, file or socket could block the thread that writes or reads it for ever. */
    @ParameterizedTest
    @EnumSource(names = {"SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"})
    void shouldRefuseDescriptorThatIsNoEventfd(final Request request) throws Exception {
        try (TestPort port = TestPort.connected(folder)) {
            final Pipe pipe = Pipe.open();
            try (Pipe.SourceChannel source = pipe.source();
                    Pipe.SinkChannel sink = pipe.sink()) {
                port.fence();
                final ProcessState before = ProcessState.now();
                final int socketOrFile = port.memory.fd();
                for (final int fd : new int[] {socketOrFile, fdOf("pipe:"), fdOf("socket:"), fdOf("/dev/")}) {
                    port.frontend.mustRefuse(() -> port.frontend.request(request, Message.u64(0), fd));
                }
                before.awaitSame();
                assertTrue(source.isOpen() && sink.isOpen());
            }
            port.assertServesTheNext();
        }
    }

    /** Some open descriptor of this process of that kind. */
    private static int fdOf(final String kind) throws Exception {
        try (java.util.stream.Stream<Path> fds = java.nio.file.Files.list(Path.of("/proc/self/fd"))) {
            for (final Path fd : (Iterable<Path>) fds::iterator) {
                if (java.nio.file.Files.isSymbolicLink(fd)
                        && java.nio.file.Files.readSymbolicLink(fd).toString().startsWith(kind)) {
                    return Integer.parseInt(fd.getFileName().toString());
                }
            }
        }
        throw new AssertionError("no descriptor of kind " + kind);
    }

    @Test
    void shouldRefuseFeaturesThatWereNotOffered() {
        try (TestPort port = TestPort.connected(folder)) {
            final Frontend frontend = port.frontend;
            // GUEST_UFO, HOST_UFO, LOG_ALL, IOMMU, RING_RESET, 63: each alone and beside what was offered.
            for (final int bit : new int[] {10, 14, 26, 33, 40, 63}) {
                frontend.mustRefuse(() -> frontend.setFeatures(1L << bit));
                frontend.mustRefuse(() -> frontend.setFeatures(frontend.offered() | 1L << bit));
            }
            for (final int bit : new int[] {1, 5, 8, 9, 12, 14, 15, 16, 63}) {
                frontend.mustRefuse(() -> frontend.setProtocolFeatures(1L << bit | 1L << 3));
            }
            assertEquals(0, port.endpoint.features());
            frontend.mustAck(() -> frontend.setFeatures(frontend.offered()));
            assertEquals(frontend.offered(), port.endpoint.features());
        }
    }

    /** MQ, RARP, REPLY_ACK and MTU: front-ends accept every bit they know, so none may be offered that we do not do. */
    @Test
    void shouldOfferOnlyProtocolFeaturesThatWork() {
        try (TestPort port = TestPort.connected(folder)) {
            assertEquals(1L | 1L << 2 | 1L << 3 | 1L << 4, port.frontend.getProtocolFeatures());
        }
    }

    /** What the guest may be told is 68..65535; it comes before SET_FEATURES of a start. */
    @ParameterizedTest
    @CsvSource({"67, 1", "68, 0", "1500, 0", "65535, 0", "65536, 1", "0, 1", "-1, 1", "0x1000005dc, 1"})
    void shouldJudgeMtu(final String mtu, final long ack) {
        try (TestPort port = TestPort.connected(folder)) {
            assertEquals(ack, port.frontend.ackOf(() -> port.frontend.netSetMtu(Long.decode(mtu))));
        }
    }

    /** Migration sends it to a back-end that has neither features nor memory yet. */
    @Test
    void shouldAnnounceGuestBeforeAnythingIsSetUp() {
        try (TestPort port = TestPort.listening(folder)) {
            port.frontend.open();
            port.frontend.sendRarp(new byte[] {0x52, 0x54, 0, 0x12, (byte) 0xFE, 1});
            port.fence();
            assertEquals(List.of("announce 52540012fe01"), port.recorder.takeEvents());
        }
    }

    /** rust-vmm 7f326dd: SET_FEATURES comes again for each pair and must not disturb; a change must be refused. */
    @Test
    void shouldRefuseOtherFeaturesWhileRunning_VPP_545866b5b31_rust_vmm_210() {
        try (TestPort port = TestPort.running(folder)) {
            final Frontend frontend = port.frontend;
            port.recorder.takeEvents();
            frontend.mustAck(() -> frontend.setFeatures(frontend.features()));
            frontend.mustRefuse(() -> frontend.setFeatures(frontend.features() & ~(1L << 29)));
            frontend.mustRefuse(() -> frontend.setFeatures(0));
            assertEquals(frontend.features(), port.endpoint.features());
            assertEquals(List.of(), port.recorder.takeEvents());
            port.assertRingsWork();
        }
    }

    @Test
    void shouldRefuseToMoveRunningRing() {
        try (TestPort port = TestPort.running(folder)) {
            final Frontend frontend = port.frontend;
            final var layout = port.vrings[1].layout();
            final long desc = port.memory.uvaOf(layout.descGpa());
            final long used = port.memory.uvaOf(layout.usedGpa());
            final long avail = port.memory.uvaOf(layout.availGpa());
            port.recorder.takeEvents();
            frontend.mustRefuse(() -> frontend.setVringNum(1, 8));
            frontend.mustRefuse(() -> frontend.setVringBase(1, 8));
            frontend.mustRefuse(() -> frontend.setVringAddr(1, 0, desc + 16, used, avail));
            frontend.mustAck(() -> frontend.setVringAddr(1, 0, desc, used, avail));
            assertEquals(List.of(), port.recorder.takeEvents());
            port.assertRingsWork();
        }
    }

    /** A second kick while running restarts the ring where it stands. */
    @Test
    void shouldGoOnWhereItStandsWhenKickComesAgain() {
        try (TestPort port = TestPort.running(folder);
                EventFd kick = EventFd.create(1)) {
            port.assertRingsWork();
            port.recorder.takeEvents();
            port.frontend.setVringKick(1, kick.fd());
            port.frontend.setVringKickNoFd(0);
            port.fence();
            assertEquals(List.of("stop 1", "start 1 at 1", "stop 0", "start 0 at 1"), port.recorder.takeEvents());
            assertEquals(-1, port.recorder.ring(0).kickFd());
            port.assertRingsWork();
        }
    }

    /** Validate when starting: a ring outside memory stays stopped, its err is signalled, and all else lives. */
    @Test
    void shouldSignalErrWhenRingLiesOutsideMemory() {
        try (TestPort port = TestPort.connected(folder)) {
            port.frontend.sendMemTable(port.memory);
            port.frontend.setVringNum(1, 256);
            port.frontend.setVringAddr(1, 0, 0x1000, 0x2000, 0x3000);
            port.frontend.setVringKickNoFd(1);
            port.fence();
            assertTrue(port.frontend.err(1).await(TestPort.TIMEOUT));
            assertTrue(!port.recorder.isStarted(1));
            port.assertServesTheNext();
        }
    }

    /** Every part of a ring is judged to its last byte: one that only begins in memory never starts. */
    @ParameterizedTest
    @ValueSource(strings = {"desc", "avail", "used"})
    void shouldNotStartRingThatOnlyBeginsInMemory_5d9dc18e1b(final String part) {
        try (TestPort port = TestPort.connected(folder)) {
            port.frontend.setFeatures(port.frontend.features());
            port.frontend.sendMemTable(port.memory);
            final Region last = port.memory.table().stream()
                    .max(Comparator.comparingLong(Region::uva))
                    .orElseThrow();
            final long inside = last.uva() + last.size() - 4096;
            // Of 256 entries the table has 4096 bytes, the available ring 518, the used ring 2054: one byte too far.
            final Map<String, Long> tooFar = Map.of("desc", inside + 16, "avail", inside + 3580, "used", inside + 2044);
            port.frontend.setVringNum(1, 256);
            port.frontend.setVringAddr(
                    1,
                    0,
                    part.equals("desc") ? tooFar.get(part) : last.uva(),
                    part.equals("used") ? tooFar.get(part) : last.uva() + 8192,
                    part.equals("avail") ? tooFar.get(part) : last.uva() + 16384);
            port.frontend.setVringKickNoFd(1);
            port.fence();
            assertTrue(port.frontend.err(1).await(TestPort.TIMEOUT));
            assertTrue(!port.recorder.isStarted(1));
            port.assertServesTheNext();
        }
    }

    /** virtio-user stops all the rings that it could have, whether or not it ever set them up. */
    @Test
    void shouldAnswerBaseOfRingsNeverSetUp_DPDK_3c929a0bb3() {
        try (TestPort port = TestPort.listening(folder, 4)) {
            port.frontend.open();
            for (int lap = 0; lap < 2; lap++) {
                for (int index = 0; index < 8; index++) {
                    assertEquals(0, port.frontend.getVringBase(index));
                }
            }
            assertEquals(List.of(), port.recorder.takeEvents());
            port.frontend.disconnect();
            port.frontend.connectLikeQemu(4);
            port.layOutRings();
            port.frontend.startLikeQemu(port.memory, port.vrings[0], port.vrings[1]);
            port.fence();
            port.recorder.takeEvents();
            for (int index = 2; index < 8; index++) {
                assertEquals(0, port.frontend.getVringBase(index));
            }
            assertEquals(List.of(), port.recorder.takeEvents());
            assertTrue(port.recorder.isStarted(0) && port.recorder.isStarted(1));
        }
    }

    /** A broken ring is told once, on its err descriptor, and breaks its port until the front-end sets it up again. */
    @Test
    void shouldReportBrokenRingOnce() {
        try (TestPort port = TestPort.running(folder)) {
            port.split(1).ring().writeAvailIdx(0x7000);
            port.recorder.run(0);
            assertEquals(RingFault.AVAIL_IDX_JUMP, port.recorder.ring(1).queue().fault());
            assertEquals(Endpoint.State.BROKEN, port.endpoint.state());
            for (int i = 0; i < 3; i++) {
                port.endpoint.watch();
            }
            assertEquals(1, port.frontend.err(1).drain());
            assertEquals(0, port.frontend.err(0).drain());
            port.frontend.stop(port.vrings);
            port.vrings[0].reset();
            port.vrings[1].reset();
            port.frontend.startLikeQemu(port.memory, port.vrings);
            port.fence();
            assertEquals(Endpoint.State.UP, port.endpoint.state());
            port.assertRingsWork();
        }
    }
}

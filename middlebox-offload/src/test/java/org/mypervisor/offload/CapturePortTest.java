package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.HOST_OFFLOADS;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.Framing;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.offload.capture.Capture;
import org.mypervisor.offload.capture.CaptureFiles;
import org.mypervisor.offload.capture.CaptureFiles.Frame;
import org.mypervisor.offload.config.Config;
import org.mypervisor.offload.config.ConfigException;
import org.mypervisor.offload.config.Topology;
import org.mypervisor.offload.control.StatsReport;
import org.mypervisor.offload.gso.Flow;

/** When frames of a capture go, when a file has enough, and what its port says of it. */
@Timeout(60)
final class CapturePortTest {
    private static final long TIME = 1_700_000_000_000_000_000L;
    private static final long TENTH = 100_000_000;
    private static final int SNAP_LENGTH = 262_144;
    private static final int PCAP_HEADER = 24;
    private static final int RECORD_HEADER = 16;
    private static final int LONGEST = 65_589;

    @TempDir
    private Path folder;

    private Path file(final String name) {
        return folder.resolve(name);
    }

    private static List<Frame> frames(final int count, final int bytes, final long gapNanos) {
        final List<Frame> frames = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            final byte[] frame = new byte[bytes];
            frame[bytes - 1] = (byte) i;
            frames.add(new Frame(TIME + i * gapNanos, frame, bytes));
        }
        return frames;
    }

    private static byte[] pcap(final List<Frame> frames) {
        return CaptureFiles.pcap(ByteOrder.LITTLE_ENDIAN, true, SNAP_LENGTH, frames);
    }

    private String replay(final List<Frame> frames, final String options) throws IOException {
        Files.write(file("in"), pcap(frames));
        return "id=in,type=pcap,read=" + file("in") + options;
    }

    private RunningBackend run(final String in, final String out) {
        return RunningBackend.withSpecs(folder, false, List.of(in, out), List.of("in -> out"), List.of());
    }

    private static void awaitDone(final RunningBackend backend, final String id) {
        RunningBackend.await(id + " is done", () -> backend.port(id).state().equals("done"));
    }

    private static long drops(final StatsReport.PortStats port) {
        return port.drops().values().stream().mapToLong(Long::longValue).sum();
    }

    /** How long it takes until all is replayed. */
    private Duration timed(final List<Frame> frames, final String options) throws IOException {
        final Instant begin = Instant.now();
        try (RunningBackend backend = run(replay(frames, options), "id=out,type=null")) {
            awaitDone(backend, "in");
            assertEquals(frames.size(), backend.port("out").sent().packets());
            return Duration.between(begin, Instant.now());
        }
    }

    @Test
    void shouldKeepThePaceThatIsAskedFor() throws IOException {
        final List<Frame> frames = frames(5, 60, TENTH);
        assertTakes(400, frames, "");
        assertTakes(800, frames, ",speed=0.5x");
        assertTakes(500, frames(5, 60, 10 * TENTH), ",speed=8x");
        assertTakes(400, frames(5, 60, 0), ",rate=10");
        final List<Frame> fromZero = List.of(
                new Frame(0, new byte[60], 60),
                new Frame(3 * TENTH, new byte[60], 60),
                new Frame(4 * TENTH, new byte[60], 60));
        assertTakes(400, fromZero, "");
        assertTakes(999, frames(1000, 60, 0), ",rate=1000");
        // An hour each, which nobody waits for.
        timed(frames(5, 60, 9000 * TENTH), ",speed=100000x");
        timed(frames(5, 60, 9000 * TENTH), ",speed=max");
        timed(frames(5, 60, 9000 * TENTH), ",rate=1000");
    }

    /** Not before the last frame's time, and soon after it, even if this machine has other things to do. */
    private void assertTakes(final long millis, final List<Frame> frames, final String options) throws IOException {
        final long took = timed(frames, options).toMillis();
        assertTrue(millis <= took && took < millis + 2000, took + " ms instead of " + millis + options);
    }

    @ParameterizedTest
    @ValueSource(strings = {"out.pcap", "out.pcapng"})
    void shouldWriteEveryNanosecond(final String output) throws IOException {
        final List<Frame> frames = List.of(
                new Frame(TIME + 123_456_789, new byte[60], 60),
                new Frame(TIME + 999_999_999, new byte[61], 1514),
                new Frame(TIME + 1_000_000_001, new byte[62], 62));
        try (RunningBackend backend = run(replay(frames, ",speed=max"), "id=out,type=pcap,write=" + file(output))) {
            awaitDone(backend, "in");
        }
        assertArrayEquals(
                output.equals("out.pcap")
                        ? pcap(frames)
                        : CaptureFiles.pcapng(ByteOrder.LITTLE_ENDIAN, SNAP_LENGTH, frames),
                Files.readAllBytes(file(output)));
    }

    /** Not one after the other: each by its time, so that one that is late delays no other. */
    @Test
    void shouldSendAFrameWithinMillisecondsOfItsTimeAndSleepMeanwhile() throws IOException {
        try (RunningBackend backend =
                run(replay(frames(21, 60, TENTH / 5), ""), "id=out,type=pcap,write=" + file("out"))) {
            awaitDone(backend, "in");
            final StatsReport.WorkerStats worker = backend.stats().workers().get(0);
            assertTrue(worker.idleNs() > worker.busyNs(), worker::toString);
            assertTrue(backend.port("in").kicks() >= 10, "it was woken for frames");
        }
    }

    @Test
    void shouldReplayAgainWithTimesThatGoOn() throws IOException {
        final List<Frame> frames = frames(3, 60, TENTH);
        final List<Frame> thrice = new ArrayList<>();
        for (int round = 0; round < 3; round++) {
            for (final Frame frame : frames) {
                thrice.add(new Frame(frame.nanos() + round * 2 * TENTH, frame.bytes(), 60));
            }
        }
        try (RunningBackend backend =
                run(replay(frames, ",speed=max,loop=3"), "id=out,type=pcap,write=" + file("out"))) {
            awaitDone(backend, "in");
        }
        assertArrayEquals(pcap(thrice), Files.readAllBytes(file("out")));
    }

    @Test
    void shouldBeDoneAtOnceWithAnEmptyCapture() throws IOException {
        try (RunningBackend backend = run(replay(List.of(), ",loop=5"), "id=out,type=pcap,write=" + file("out"))) {
            awaitDone(backend, "in");
            assertEquals(0, backend.port("in").received().packets());
            assertTrue(backend.backend().ends() && backend.backend().isDone());
        }
        assertArrayEquals(pcap(List.of()), Files.readAllBytes(file("out")));
    }

    @Test
    void shouldGoOnForeverAndSayThatItDoes() throws IOException {
        try (RunningBackend backend = run(replay(frames(3, 60, 0), ",speed=max,loop=forever"), "id=out,type=null")) {
            RunningBackend.await("many rounds", () -> backend.port("out").sent().packets() > 100_000);
            assertEquals("up", backend.port("in").state());
            assertFalse(backend.backend().ends());
        }
    }

    @Test
    void shouldWaitForItsDestinationAndLetItTakeItsTime() throws IOException {
        final String guest = "id=out,type=vhost-user,path=" + file("out");
        final List<Frame> frames = frames(1000, 60, 0);
        try (RunningBackend backend = run(replay(frames, ",speed=max"), guest)) {
            assertEquals("up", backend.port("in").state());
            assertEquals(0, backend.port("in").received().packets());
            try (NetDriver driver = backend.guest("out", LIKE_QEMU, NetOptions.defaults())) {
                for (final Frame frame : frames) {
                    assertArrayEquals(frame.bytes(), driver.receive());
                }
                awaitDone(backend, "in");
                assertEquals(0, drops(backend.port("out")));
            }
        }
    }

    @Test
    void shouldFinishWhatADriverLeftToItsDevice() throws IOException {
        final Flow flow = new Flow(new Random(5), false, true, 0, 0);
        final byte[] payload = Flow.bytes(new Random(6), 1000);
        final Instant before = Instant.now();
        try (RunningBackend backend =
                        run("id=in,type=vhost-user,path=" + file("in"), "id=out,type=pcap,write=" + file("out"));
                NetDriver driver = backend.guest("in", LIKE_QEMU | HOST_OFFLOADS, NetOptions.defaults())) {
            driver.transmit(NetHdr.csum(flow), flow.forDevice(payload), Framing.HEADER_APART);
            driver.awaitTransmitted();
        }
        try (Capture capture = Capture.load(file("out"))) {
            assertEquals(1, capture.frames());
        }
        final byte[] written = Files.readAllBytes(file("out"));
        final byte[] whole = flow.whole(payload);
        assertArrayEquals(whole, Arrays.copyOfRange(written, PCAP_HEADER + RECORD_HEADER, written.length));
        final long seconds =
                java.nio.ByteBuffer.wrap(written).order(ByteOrder.LITTLE_ENDIAN).getInt(PCAP_HEADER);
        assertTrue(
                before.getEpochSecond() <= seconds && seconds <= Instant.now().getEpochSecond(), "its time");
    }

    @Test
    void shouldEndAFileWithTheFrameThatReachesItsSize() throws IOException {
        final List<Frame> frames = frames(100, 60, 0);
        final String out = "id=out,type=pcap,size=1000,write=" + file("out");
        try (RunningBackend backend = run(replay(frames, ",speed=max"), out)) {
            awaitDone(backend, "out");
            awaitDone(backend, "in");
            final StatsReport.PortStats port = backend.port("out");
            assertEquals(100, port.sent().packets() + drops(port));
        }
        // 24 + 13 * 76 is the first sum that is not below 1000.
        assertArrayEquals(pcap(frames.subList(0, 13)), Files.readAllBytes(file("out")));
    }

    @Test
    void shouldEndAFileWhenItsTimeIsOver() {
        final String out = "id=in,type=pcap,seconds=1,write=" + file("out");
        try (RunningBackend backend = run(out, "id=out,type=null")) {
            assertEquals("up", backend.port("in").state());
            awaitDone(backend, "in");
            assertTrue(backend.backend().ends() && backend.backend().isDone());
        }
    }

    @Test
    void shouldWriteWhatCameInTimeAndDropTheRest() throws IOException {
        final List<Frame> frames = frames(2000, 60, 0);
        final String out = "id=out,type=pcap,seconds=1,write=" + file("out");
        final long sent;
        try (RunningBackend backend = run(replay(frames, ",rate=1000"), out)) {
            awaitDone(backend, "out");
            awaitDone(backend, "in");
            final StatsReport.PortStats port = backend.port("out");
            sent = port.sent().packets();
            assertEquals(2000, sent + drops(port));
            // The replay begins within a tenth of a second of the file.
            assertTrue(sent >= 500 && sent <= 1001, () -> sent + " frames of a second");
        }
        assertArrayEquals(pcap(frames.subList(0, (int) sent)), Files.readAllBytes(file("out")));
    }

    @Test
    void shouldNotBeginToReplayIntoAFileThatCannotBeWritten() throws IOException {
        try (RunningBackend backend =
                run(replay(frames(100, 60, 0), ",speed=max"), "id=out,type=pcap,write=/dev/full")) {
            RunningBackend.await(
                    "it is broken", () -> backend.port("out").state().equals("broken"));
            assertEquals(
                    List.of("capture /dev/full: cannot be written: No space left on device"),
                    backend.backend().failures());
            assertTrue(backend.backend().isDone());
            assertEquals(0, backend.port("in").received().packets());
        }
    }

    /** A pipe whose reader goes away is like a disk that becomes full. */
    @Test
    void shouldCountWhatAFileDoesNotTakeAnyMore() throws Exception {
        final InputStream reader = fifo();
        try (RunningBackend backend = run(replay(frames(100, 60, 0), ",rate=100"), intoFifo())) {
            assertEquals(PCAP_HEADER, reader.readNBytes(PCAP_HEADER).length);
            reader.close();
            awaitDone(backend, "in");
            RunningBackend.await(
                    "it is broken", () -> backend.port("out").state().equals("broken"));
            assertTrue(backend.backend().failures().get(0).contains("Broken pipe"));
            final StatsReport.PortStats port = backend.port("out");
            assertTrue(port.missed() > 0, "those that were taken before anybody knew");
            assertTrue(port.missed() + drops(port) > 50);
            assertEquals(100, port.sent().packets() + drops(port));
        }
    }

    private String intoFifo() {
        return "id=out,type=pcap,write=" + file("out");
    }

    private void makeFifo() throws Exception {
        assertEquals(
                0, new ProcessBuilder("mkfifo", file("out").toString()).start().waitFor());
    }

    /** One that is read, although nobody has written to it yet. */
    private InputStream fifo() throws Exception {
        makeFifo();
        // Opened for both it waits for nobody, and whoever opens it meanwhile neither.
        final RandomAccessFile both = new RandomAccessFile(file("out").toFile(), "rw");
        final InputStream in = Files.newInputStream(file("out"));
        both.close();
        return in;
    }

    /** Its reader reads nothing: whatever does not fit the ring is dropped, and those who send are not held up. */
    @Test
    void shouldDropWhatASlowFileCannotTakeAndCountIt() throws Exception {
        final CountDownLatch taken = new CountDownLatch(1);
        final InputStream in = fifo();
        final FutureTask<Integer> reader = new FutureTask<>(() -> {
            try (in) {
                taken.await();
                return in.readAllBytes().length;
            }
        });
        new Thread(reader, "reader").start();
        final long sent;
        try (RunningBackend backend = run(replay(frames(600, LONGEST, 0), ""), intoFifo())) {
            awaitDone(backend, "in");
            final StatsReport.PortStats port = backend.port("out");
            sent = port.sent().packets();
            assertTrue(sent >= 200, "what fits the ring");
            assertTrue(port.drops().get("no_buffer") > 0);
            assertEquals(600, sent + drops(port));
            taken.countDown();
        }
        assertEquals(
                PCAP_HEADER + sent * (RECORD_HEADER + LONGEST), reader.get().longValue());
    }

    /** As with a disk that hangs: the end of the process does not depend on it. */
    @Test
    void shouldGiveUpAFileThatStandsStillWhenItEnds() throws Exception {
        try (InputStream neverRead = fifo()) {
            final RunningBackend backend = run(replay(frames(200, LONGEST, 0), ",speed=max"), intoFifo());
            awaitDone(backend, "in");
            final Instant begin = Instant.now();
            backend.close();
            final long millis = Duration.between(begin, Instant.now()).toMillis();
            assertTrue(millis >= 4000 && millis < 9000, millis + " ms");
            assertEquals(
                    List.of("capture " + file("out") + ": cannot be written: it did not take all within 5 s"),
                    backend.backend().failures());
            // A pipe has room for less than one of them.
            assertEquals(200, backend.port("out").missed());
            assertEquals(PCAP_HEADER, neverRead.readNBytes(PCAP_HEADER).length);
        }
    }

    @Test
    void shouldRefuseToWriteToWhatIsNoFileAndWhatNobodyReads() throws Exception {
        makeFifo();
        Files.createDirectory(file("folder"));
        assertEquals(
                "capture " + file("out") + ": cannot be written: nobody reads this FIFO; start its reader first",
                refusal("out"));
        assertEquals(
                "capture " + file("folder") + ": cannot be written: it is neither a file nor a FIFO; name another one",
                refusal("folder"));
        assertEquals("capture " + file("no/file") + ": cannot be written: its folder is not there", refusal("no/file"));
    }

    private String refusal(final String output) throws ConfigException {
        final Topology topology =
                Config.load(Optional.empty(), List.of("id=a,type=pcap,write=" + file(output)), List.of(), List.of());
        return assertThrows(IOException.class, () -> new Backend(topology, new BackendOptions(false, List.of())))
                .getMessage();
    }

    @Test
    void shouldSwallowWhateverIsSentToNothing() throws IOException {
        final Flow flow = new Flow(new Random(5), false, true, 0, 0);
        final byte[] payload = Flow.bytes(new Random(6), 30_000);
        try (RunningBackend backend = run("id=in,type=vhost-user,path=" + file("in"), "id=out,type=null");
                NetDriver driver = backend.guest(
                        "in", LIKE_QEMU | HOST_OFFLOADS, NetOptions.defaults().withTransmitBufferSize(40_000))) {
            driver.transmit(NetHdr.gso(flow, 1448), flow.forDevice(payload), Framing.HEADER_APART);
            driver.transmit(new byte[60]);
            driver.awaitTransmitted();
            RunningBackend.await("both", () -> backend.port("out").sent().packets() == 2);
            assertEquals(
                    flow.headerLength() + payload.length + 60,
                    backend.port("out").sent().bytes());
            assertEquals("up", backend.port("out").state());
        }
    }

    @Test
    void shouldLeaveNoFileBehindAndTouchNoneWhenItCannotStart() throws IOException, ConfigException {
        Files.write(file("bad"), new byte[100]);
        Files.write(file("old"), new byte[] {1, 2, 3});
        for (final String output : List.of("new", "old")) {
            final Topology topology = Config.load(
                    Optional.empty(),
                    List.of("id=a,type=pcap,write=" + file(output), "id=b,type=pcap,read=" + file("bad")),
                    List.of(),
                    List.of());
            final String message = assertThrows(
                            IOException.class, () -> new Backend(topology, new BackendOptions(false, List.of())))
                    .getMessage();
            assertTrue(message.startsWith("capture " + file("bad") + ": begins with 0x00000000"), message);
        }
        assertTrue(Files.notExists(file("new")));
        assertArrayEquals(new byte[] {1, 2, 3}, Files.readAllBytes(file("old")));
    }
}

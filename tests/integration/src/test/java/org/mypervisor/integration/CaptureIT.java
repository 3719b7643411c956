package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Captures on the command line: in, through a filter, out, and gone. */
@Timeout(120)
final class CaptureIT {
    private static final int FILE_HEADER = 24;
    private static final int RECORD_HEADER = 16;

    @TempDir
    private Path folder;

    private Path file(final String name) {
        return folder.resolve(name);
    }

    /** UDP frames of random sizes and one of four ports, one in three in a tag. */
    private void writeCapture(final String name, final int frames, final boolean tags) throws IOException {
        final Random random = new Random(11);
        final ByteBuffer to = ByteBuffer.allocate(frames * 1600).order(ByteOrder.BIG_ENDIAN);
        to.putInt(0xa1b2c3d4)
                .putShort((short) 2)
                .putShort((short) 4)
                .putLong(0)
                .putInt(65_535)
                .putInt(1);
        for (int i = 0; i < frames; i++) {
            final int payload = random.nextInt(1400);
            final boolean tagged = tags && i % 3 == 0;
            final int length = 42 + payload + (tagged ? 4 : 0);
            to.putInt(1_600_000_000 + i)
                    .putInt(random.nextInt(1_000_000))
                    .putInt(length)
                    .putInt(length + i % 2);
            to.putInt(0x02000000).putInt(0x00020200).putInt(0x00000001);
            if (tagged) {
                to.putInt(0x81000007);
            }
            to.putShort((short) 0x0800)
                    .putShort((short) 0x4500)
                    .putShort((short) (28 + payload))
                    .putInt(i << 16);
            to.putInt(0x40110000).putInt(0x0a000001).putInt(0x0a000002);
            to.putShort((short) 1024).putShort((short) (50 + random.nextInt(4)));
            to.putShort((short) (8 + payload)).putShort((short) 0).put(new byte[payload]);
        }
        Files.write(file(name), Arrays.copyOf(to.array(), to.position()));
    }

    private Shell.Result run(final String... options) {
        final List<String> command =
                new ArrayList<>(List.of(BackendProcess.launcher().toString(), "run", "--log-level", "error"));
        command.addAll(List.of(options));
        return Shell.run(command);
    }

    private String[] batch(final String in, final String out) throws IOException {
        Files.writeString(file("rules"), "deny udp from any to any port 53\n");
        return new String[] {
            "--port",
            "id=in,type=pcap,read=" + file(in) + ",speed=max",
            "--port",
            "id=out,type=pcap,write=" + out,
            "--path",
            "in -> filter(rules=" + file("rules") + ") -> out",
            "--exit-when-done"
        };
    }

    @Test
    void shouldLeaveWhatTcpdumpLeaves() throws IOException {
        assumeTrue(Programs.exists("tcpdump"), "tcpdump is missing");
        writeCapture("in", 20_000, true);
        assertEquals(new Shell.Result(0, ""), run(batch("in", file("out").toString())));
        final String expected = file("expected").toString();
        Shell.must(List.of(
                "tcpdump",
                "-Z",
                "root",
                "--nano",
                "-r",
                file("in").toString(),
                "-w",
                expected,
                "not (udp port 53 or (vlan and udp port 53))"));
        final byte[] theirs = Files.readAllBytes(file("expected"));
        final byte[] ours = Files.readAllBytes(file("out"));
        assertTrue(theirs.length > 20_000 * 300, "most frames pass");
        // The snapshot length in the file's header is each program's own.
        assertArrayEquals(
                Arrays.copyOfRange(theirs, FILE_HEADER, theirs.length),
                Arrays.copyOfRange(ours, FILE_HEADER, ours.length));
    }

    @Test
    void shouldEndWithOneWhenTheFileCannotBeWritten() throws IOException {
        writeCapture("in", 100, false);
        final Shell.Result result = run(batch("in", "/dev/full"));
        assertEquals(1, result.status(), result.output());
        assertEquals(1, result.output().lines().count(), result.output());
        assertTrue(result.output().contains("No space left on device"), result.output());
    }

    private void refused(final String words, final String... options) {
        final Shell.Result result = run(options);
        assertEquals(2, result.status(), result.output());
        assertEquals(1, result.output().lines().count(), result.output());
        assertTrue(result.output().contains(words), result.output());
    }

    @Test
    void shouldRefuseBadFilesWithOneLineBeforeAnythingRuns() throws IOException {
        writeCapture("in", 10, false);
        final byte[] whole = Files.readAllBytes(file("in"));
        final String out = file("out").toString();
        Files.write(file("short"), Arrays.copyOf(whole, whole.length - 1));
        refused("capture " + file("short") + ": record 10 at byte", batch("short", out));
        Files.writeString(file("text"), "no capture at all\n");
        refused("begins with 0x6e6f2063", batch("text", out));
        final byte[] hostile = whole.clone();
        ByteBuffer.wrap(hostile).putInt(FILE_HEADER + 8, 0x7fffffff);
        Files.write(file("hostile"), hostile);
        refused("record 1 at byte 24: a frame of 2147483647 bytes", batch("hostile", out));
        refused("is not there", batch("nothing", out));
        refused("its folder is not there", batch("in", file("no/out").toString()));
        assertTrue(Files.notExists(file("out")));
        refused("--exit-when-done: no port comes to an end", "--port", "id=a,type=null", "--exit-when-done");
    }

    /** Root may read everything, unless it lacks these capabilities. */
    @Test
    void shouldSayWhyAFileCannotBeRead() throws IOException {
        assumeTrue("root".equals(System.getProperty("user.name")), "to give files away needs root");
        writeCapture("in", 10, false);
        Shell.must("chmod 600 " + file("in"));
        Shell.must("chown 12345 " + file("in"));
        final List<String> command =
                new ArrayList<>(List.of("setpriv", "--bounding-set", "-dac_override,-dac_read_search"));
        command.addAll(List.of("--inh-caps", "-dac_override,-dac_read_search"));
        command.addAll(List.of(BackendProcess.launcher().toString(), "run"));
        command.addAll(List.of(batch("in", file("out").toString())));
        final Shell.Result result = Shell.run(command);
        assertEquals(2, result.status(), result.output());
        assertTrue(
                result.output().contains("capture " + file("in") + ": cannot be read: permission denied\n"),
                result.output());
    }

    /** A FIFO whose reader stands still, at the end of the process. */
    @Test
    void shouldEndSoonAfterSigtermThoughItsFileStandsStill() throws IOException, InterruptedException {
        writeCapture("in", 1000, false);
        Shell.must("mkfifo " + file("out"));
        try (RandomAccessFile neverRead = new RandomAccessFile(file("out").toFile(), "rw");
                BackendProcess backend = BackendProcess.start(
                        folder,
                        "--port",
                        "id=in,type=pcap,read=" + file("in") + ",rate=20000,loop=forever",
                        "--port",
                        "id=out,type=pcap,write=" + file("out"),
                        "--path",
                        "in -> out")) {
            backend.awaitControl();
            Waiting.until("frames go", Duration.ofSeconds(20), () -> sent(backend) > 5000);
            backend.stop();
            assertTrue(neverRead.getFD().valid());
            final String log = backend.log();
            assertEquals(1, log.lines().filter(line -> line.contains("ERROR")).count(), log);
            assertTrue(log.contains("it did not take all within 5 s; "), log);
            assertTrue(log.contains(" frames are missed"), log);
        }
    }

    /** Runs a replay without end into a file, ends it, and returns how many whole frames the file has. */
    private int framesAfter(final boolean hard) throws IOException, InterruptedException {
        writeCapture("in", 1000, false);
        try (BackendProcess backend = BackendProcess.start(
                folder,
                "--port",
                "id=in,type=pcap,read=" + file("in") + ",rate=20000,loop=forever",
                "--port",
                "id=out,type=pcap,write=" + file("out"),
                "--path",
                "in -> out")) {
            backend.awaitControl();
            Waiting.until("frames go", Duration.ofSeconds(20), () -> sent(backend) > 5000);
            final long sent = sent(backend);
            Thread.sleep(200);
            if (hard) {
                backend.killHard();
            } else {
                backend.stop();
            }
            final int written = wholeFrames(Files.readAllBytes(file("out")));
            assertTrue(written >= sent, written + " of " + sent);
            return written;
        }
    }

    private static long sent(final BackendProcess backend) throws IOException {
        return backend.port("out").get("sent").get("packets").asLong();
    }

    private static int wholeFrames(final byte[] file) {
        final ByteBuffer records = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        int frames = 0;
        int at = FILE_HEADER;
        while (at < file.length) {
            at += RECORD_HEADER + records.getInt(at + 8);
            frames++;
        }
        assertEquals(file.length, at, "the last record is whole");
        return frames;
    }

    @Test
    void shouldLeaveAWholeFileAfterSigterm() throws IOException, InterruptedException {
        assertTrue(framesAfter(false) > 5000);
    }

    @Test
    void shouldLeaveAFileOfWholeFramesAfterSigkill() throws IOException, InterruptedException {
        assertTrue(framesAfter(true) > 5000);
    }
}

package org.mypervisor.offload.capture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.offload.capture.CaptureFiles.Frame;

class CaptureReaderTest {
    private static final long TIME = 1_700_000_000_123_456_000L;
    private static final Frame SHORT = new Frame(TIME, new byte[] {1, 2, 3, 4, 5}, 5);
    private static final Frame CUT = new Frame(TIME + 1_000_000, new byte[60], 1514);
    private static final Frame LONGEST = new Frame(TIME + 2_000_000_000L, new byte[65_589], 65_589);

    private static List<String> read(final byte[] file) throws IOException {
        final List<String> frames = new ArrayList<>();
        CaptureReader.read(
                "f",
                new ByteArrayInputStream(file),
                file.length,
                (nanos, bytes, length, original) -> frames.add(text(nanos, Arrays.copyOf(bytes, length), original)));
        return frames;
    }

    private static String text(final long nanos, final byte[] bytes, final long original) {
        return nanos + " " + bytes.length + "/" + original + " " + Arrays.hashCode(bytes);
    }

    private static String text(final Frame frame) {
        return text(frame.nanos(), frame.bytes(), frame.originalLength());
    }

    @ParameterizedTest
    @EnumSource(CaptureFiles.Kind.class)
    void shouldReadEveryKind(final CaptureFiles.Kind kind) throws IOException {
        assertEquals(List.of(text(SHORT), text(CUT), text(LONGEST)), read(kind.write(List.of(SHORT, CUT, LONGEST))));
        assertEquals(List.of(), read(kind.write(List.of())));
    }

    @Test
    void shouldReadAllBlocksThatHoldFramesAndSkipTheOthers() throws IOException {
        for (final ByteOrder order : List.of(ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN)) {
            final byte[] file = CaptureFiles.of(order, to -> {
                CaptureFiles.section(to);
                CaptureFiles.interfaceBlock(to, 1, 3, 9);
                CaptureFiles.interfaceBlock(to, 1, 0, 6);
                // 2^-10 seconds.
                CaptureFiles.interfaceBlock(to, 1, 0, 0x8a);
                CaptureFiles.otherBlock(to, 5, 10);
                // Behind nothing with a time.
                CaptureFiles.simplePacket(to, new byte[] {1, 2, 3}, 60);
                CaptureFiles.enhancedPacket(to, 1, 1_000_001, SHORT);
                CaptureFiles.otherBlock(to, 0x0bad, 0);
                CaptureFiles.obsoletePacket(to, 2, 3 * 1024 + 512, SHORT);
                CaptureFiles.simplePacket(to, new byte[] {1, 2}, 2);
                // A new section knows nothing of the interfaces before it, and has a byte order of its own.
                CaptureFiles.section(to.order(ByteOrder.LITTLE_ENDIAN));
                CaptureFiles.interfaceBlock(to, 1, 0, 3);
                CaptureFiles.enhancedPacket(to, 0, 5_001, SHORT);
            });
            final byte[] bytes = SHORT.bytes();
            assertEquals(
                    List.of(
                            text(FrameSink.NO_TIME, new byte[] {1, 2, 3}, 60),
                            text(1_000_001_000L, bytes, 5),
                            text(3_500_000_000L, bytes, 5),
                            text(3_500_000_000L, new byte[] {1, 2}, 2),
                            text(5_001_000_000L, bytes, 5)),
                    read(file));
        }
    }

    @Test
    void shouldRefuseMoreInterfacesThanAnybodyHas() {
        final byte[] file = CaptureFiles.of(ByteOrder.LITTLE_ENDIAN, 4 << 20, to -> {
            CaptureFiles.section(to);
            for (int i = 0; i <= 1 << 16; i++) {
                CaptureFiles.interfaceBlock(to, 1, 0, 9);
            }
        });
        expect(file, "block 65538 at byte", "more than 65536 interfaces", "damaged");
    }

    @Test
    void shouldReadTimesOfAnyResolution() throws IOException {
        assertEquals(7_000_000_000L, nanosOf(0, 7));
        assertEquals(7L, nanosOf(9, 7));
        assertEquals(7L, nanosOf(12, 7_999));
        assertEquals(1_844_674_407L, nanosOf(19, 18_446_744_073_709_551_615.0));
        assertEquals(0, nanosOf(127, 1e19));
        assertEquals(7_500_000_000L, nanosOf(0x81, 15));
        assertEquals(250_000_000L, nanosOf(0x80 | 63, 1L << 61));
        assertEquals(0, nanosOf(0xff, 1L << 61));
    }

    @Test
    void shouldKeepEveryNanosecond() throws IOException {
        final Frame odd = new Frame(1_700_000_000_123_456_789L, new byte[60], 60);
        final Frame last = new Frame(4_294_967_295_999_999_999L, new byte[60], 60);
        for (final CaptureFiles.Kind kind : CaptureFiles.Kind.values()) {
            if (!kind.name().contains("MICRO")) {
                assertEquals(List.of(text(odd), text(last)), read(kind.write(List.of(odd, last))));
            }
        }
    }

    /** Of seconds, with a sign, in 64 bits; of another length it is not one. */
    @Test
    void shouldAddTheOffsetOfAnInterface() throws IOException {
        assertEquals(1_000_000_001L, nanosWith(1_000_001_000_000_001L, offset(ByteOrder.LITTLE_ENDIAN, -1_000_000)));
        assertEquals(3_600_000_000_005L, nanosWith(5, offset(ByteOrder.LITTLE_ENDIAN, 3600)));
        assertEquals(4_294_967_295_000_000_000L, nanosWith(0, offset(ByteOrder.LITTLE_ENDIAN, 0xffff_ffffL)));
        assertEquals(5, nanosWith(5, new byte[] {16, 14, 0, 0}));
        expect(withOffset(0, offset(ByteOrder.LITTLE_ENDIAN, -1)), "block 3", "1970 to 2106");
        expect(withOffset(0, offset(ByteOrder.LITTLE_ENDIAN, 1L << 32)), "block 3", "1970 to 2106");
        expect(withOffset(0, offset(ByteOrder.LITTLE_ENDIAN, Long.MAX_VALUE)), "block 3", "1970 to 2106");
        expect(withOffset(0, offset(ByteOrder.LITTLE_ENDIAN, Long.MIN_VALUE)), "block 3", "1970 to 2106");
    }

    private static byte[] offset(final ByteOrder order, final long seconds) {
        return ByteBuffer.allocate(Long.BYTES).order(order).putLong(seconds).array();
    }

    private static byte[] withOffset(final long nanos, final byte[] offset) {
        return CaptureFiles.of(ByteOrder.LITTLE_ENDIAN, to -> {
            CaptureFiles.section(to);
            CaptureFiles.interfaceBlock(to, options -> {
                CaptureFiles.option(options, 9, (byte) 9);
                CaptureFiles.option(options, 14, offset);
            });
            CaptureFiles.enhancedPacket(to, 0, nanos, SHORT);
        });
    }

    private static long nanosWith(final long nanos, final byte[] offset) throws IOException {
        return Long.parseLong(read(withOffset(nanos, offset)).get(0).split(" ")[0]);
    }

    /** A comment may be as long as an option can be; what comes behind it counts. */
    @Test
    void shouldSkipLongOptionsAndReadThoseBehindThem() throws IOException {
        final byte[] file = CaptureFiles.of(ByteOrder.BIG_ENDIAN, to -> {
            CaptureFiles.section(to);
            CaptureFiles.interfaceBlock(to, options -> {
                CaptureFiles.option(options, 1, new byte[40_000]);
                CaptureFiles.option(options, 1, new byte[65_535]);
                CaptureFiles.option(options, 9, (byte) 9);
                CaptureFiles.option(options, 0);
                options.putInt(-1);
            });
            CaptureFiles.enhancedPacket(to, TIME, SHORT, options -> {
                CaptureFiles.option(options, 1, new byte[65_535]);
                CaptureFiles.option(options, 2, new byte[] {0, 0, 0, 1});
                CaptureFiles.option(options, 4, new byte[8]);
            });
            CaptureFiles.enhancedPacket(to, 0, TIME, CUT);
        });
        assertEquals(List.of(text(SHORT), text(new Frame(TIME, CUT.bytes(), CUT.originalLength()))), read(file));
    }

    /** Whoever writes the file tells it of all frames of an interface, or of each frame. */
    @Test
    void shouldRefuseFramesThatEndWithACheckSequence() throws IOException {
        final CaptureFiles.Blocks sequence = options -> CaptureFiles.option(options, 13, (byte) 32);
        final byte[] none = CaptureFiles.of(ByteOrder.LITTLE_ENDIAN, to -> {
            CaptureFiles.section(to);
            CaptureFiles.interfaceBlock(to, options -> CaptureFiles.option(options, 13, (byte) 0));
            CaptureFiles.interfaceBlock(to, sequence);
            CaptureFiles.enhancedPacket(to, 0, 1, SHORT);
        });
        assertEquals(List.of(text(1000, SHORT.bytes(), 5)), read(none), "no frame has any");
        for (final CaptureFiles.Blocks frame : List.<CaptureFiles.Blocks>of(
                to -> CaptureFiles.enhancedPacket(to, 0, 1, SHORT),
                to -> CaptureFiles.obsoletePacket(to, 0, 1, SHORT),
                to -> CaptureFiles.simplePacket(to, SHORT.bytes(), 5))) {
            expect(
                    CaptureFiles.of(ByteOrder.BIG_ENDIAN, to -> {
                        CaptureFiles.section(to);
                        CaptureFiles.interfaceBlock(to, sequence);
                        frame.put(to);
                    }),
                    "block 3",
                    "check sequence",
                    "editcap");
        }
        expect(
                CaptureFiles.of(ByteOrder.BIG_ENDIAN, to -> {
                    CaptureFiles.section(to);
                    CaptureFiles.interfaceBlock(to, 1, 0, 9);
                    CaptureFiles.enhancedPacket(
                            to,
                            1,
                            SHORT,
                            options -> CaptureFiles.option(options, 2, new byte[] {0, 0, 0, (byte) 0x80}));
                }),
                "block 3 at byte 60",
                "check sequence",
                "editcap");
    }

    private static long nanosOf(final int resolution, final double ticks) throws IOException {
        final long unsigned = ticks < 0x1p63 ? (long) ticks : (long) (ticks - 0x1p63) + Long.MIN_VALUE;
        // The largest double below 2^64 is not all ones.
        final long exact = ticks == 0x1p64 ? -1 : unsigned;
        final byte[] file = CaptureFiles.of(ByteOrder.LITTLE_ENDIAN, to -> {
            CaptureFiles.section(to);
            CaptureFiles.interfaceBlock(to, 1, 0, resolution);
            CaptureFiles.enhancedPacket(to, 0, exact, SHORT);
        });
        return Long.parseLong(read(file).get(0).split(" ")[0]);
    }

    /** Each is refused with one line that has these words. */
    private static void expect(final byte[] file, final String... words) {
        final String message =
                assertThrows(CaptureException.class, () -> read(file)).getMessage();
        assertEquals(1, message.lines().count(), message);
        assertTrue(message.startsWith("capture f"), message);
        for (final String word : words) {
            assertTrue(message.contains(word), message);
        }
    }

    private static byte[] pcap(final int at, final int value) {
        final byte[] file = CaptureFiles.pcap(ByteOrder.LITTLE_ENDIAN, true, 2000, List.of(SHORT, CUT));
        ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putInt(at, value);
        return file;
    }

    @Test
    void shouldRefuseWhatIsNoCapture() {
        expect(new byte[0], "has 0 bytes", "give a pcap or pcapng file");
        expect(new byte[3], "has 3 bytes");
        expect("GET / HTTP/1.1\r\n".getBytes(), "begins with 0x47455420", "editcap");
        expect(new byte[] {0x1f, (byte) 0x8b, 8, 0, 0, 0}, "is compressed; unpack it first");
        expect(new byte[] {0x34, (byte) 0xcd, (byte) 0xb2, (byte) 0xa1, 0}, "modified pcap", "editcap");
    }

    @Test
    void shouldRefuseAPcapHeaderThatCannotBe() {
        expect(
                Arrays.copyOf(pcap(0, 0xa1b23c4d), 23),
                "20 more bytes are needed at byte 4",
                "cut short",
                "tcpdump -r f");
        expect(pcap(4, 3 << 16 | 2), "version 2.3", "editcap");
        expect(pcap(20, 113), "link type 113", "Ethernet", "tcprewrite");
        expect(pcap(20, 0x24000001), "check sequence", "editcap");
    }

    @Test
    void shouldRefuseRecordsThatCannotBe() {
        final int first = 24;
        final int second = first + 16 + 5;
        final byte[] whole = pcap(4, 4 << 16 | 2);
        expect(
                Arrays.copyOf(whole, second + 7),
                "record 2 at byte 45",
                "16 more bytes",
                "ends at byte 52",
                "cut short");
        expect(Arrays.copyOf(whole, whole.length - 1), "record 2 at byte 45", "60 more bytes are needed at byte 61");
        expect(pcap(second + 12, 59), "record 2 at byte 45", "60 bytes of a frame that had 59", "damaged");
        expect(pcap(first + 8, -1), "record 1 at byte 24", "4294967295 bytes; no port");
        expect(
                pcap(first + 8, 65_590),
                "record 1 at byte 24: a frame of 65590 bytes; no port takes more than 65589; cut",
                "'editcap -s 65589'");
    }

    /** dpkt writes 1,500 as the snapshot length of frames of 1,514 bytes. */
    @Test
    void shouldReadFramesThatAreLongerThanTheSnapshotLength() throws IOException {
        final List<Frame> frames = List.of(SHORT, CUT);
        assertEquals(List.of(text(SHORT), text(CUT)), read(CaptureFiles.pcap(ByteOrder.BIG_ENDIAN, false, 59, frames)));
        assertEquals(List.of(text(SHORT), text(CUT)), read(CaptureFiles.pcapng(ByteOrder.BIG_ENDIAN, 59, frames)));
    }

    private static byte[] pcapng(final Consumer<ByteBuffer> more) {
        return CaptureFiles.of(ByteOrder.LITTLE_ENDIAN, to -> {
            CaptureFiles.section(to);
            CaptureFiles.interfaceBlock(to, 1, 100, 9);
            more.accept(to);
        });
    }

    /** The third block, whose words are these. */
    private static byte[] block(final int... words) {
        return pcapng(to -> {
            for (final int word : words) {
                to.putInt(word);
            }
        });
    }

    @Test
    void shouldRefuseBlocksThatCannotBe() {
        final String third = "block 3 at byte 60";
        expect(block(6), third, "4 more bytes", "cut short");
        expect(block(6, -4, 0, 0), third, "cut short");
        expect(block(6, 0, 0, 0), third, "block length of 0", "damaged");
        expect(block(6, 8, 0, 0), third, "block length of 8");
        expect(block(6, 13, 0, 0), third, "block length of 13");
        expect(block(5, 0x7ffffffc, 0, 0), third, "ends at byte 76");
        expect(block(5, 12, 16), third, "12 in front and 16 behind");
        expect(block(6, 16, 0, 16), third, "4 bytes where 20 are needed");
        expect(block(6, 32, 1, 0, 0, 0, 0, 32), third, "interface 1", "no description");
        expect(block(6, 32, -1, 0, 0, 0, 0, 32), third, "interface 4294967295");
        expect(block(6, 32, 0, 0, 0, 4, 4, 32), third, "4 bytes in a block with room for 0");
        expect(block(6, 32, 0, 0, 0, -4, -4, 32), third, "4294967292 bytes; no port");
        expect(block(6, 32, 0, 0, 0, 101, 101, 32), third, "101 bytes in a block with room for 0");
        expect(block(6, 32, 0, 0, 0, 1, 0, 32), third, "1 bytes of a frame that had 0");
        expect(block(6, 32, 0, -1, -1, 0, 0, 32), third, "1970 to 2106");
        expect(block(2, 32, 9, 0, 0, 0, 0, 32), third, "interface 9");
        expect(block(3, 16, 60, 16), third, "60 bytes in a block with room for 0");
        expect(block(1, 24, 1, 0, 0x10009, 24), third, "option 9 of 1 bytes, of which there are 0");
        expect(block(1, 24, 1, 0, 0x7fff0009, 24), third, "option 9 of 32767 bytes, of which there are 0");
        expect(block(6, 36, 0, 0, 0, 0, 0, 0x40002, 36), third, "option 2 of 4 bytes, of which there are 0");
        expect(block(0x0a0d0d0a, 28, 0x12345678, 1, -1, -1, 28), third, "byte order");
        expect(block(0x0a0d0d0a, 28, 0x1a2b3c4d, 2, -1, -1, 28), third, "version 2", "editcap");
        expect(block(0x0a0d0d0a, 12, 0x1a2b3c4d, 12), third, "block length of 12");
    }

    @Test
    void shouldRefuseFramesOfOtherLinksOnlyWhereThereAreAny() throws IOException {
        final byte[] file = pcapng(to -> {
            CaptureFiles.interfaceBlock(to, 113, 0, 9);
            CaptureFiles.enhancedPacket(to, 0, TIME, SHORT);
        });
        assertEquals(List.of(text(SHORT)), read(file));
        expect(
                pcapng(to -> {
                    CaptureFiles.interfaceBlock(to, 113, 0, 9);
                    CaptureFiles.enhancedPacket(to, 1, TIME, SHORT);
                }),
                "block 4 at byte 92",
                "link type 113");
    }

    @Test
    void shouldSayWhatCannotBeOpened(@TempDir final Path folder) {
        final String missing = assertThrows(CaptureException.class, () -> Capture.load(folder.resolve("x")))
                .getMessage();
        assertEquals("capture " + folder.resolve("x") + ": is not there", missing);
        final String directory =
                assertThrows(CaptureException.class, () -> Capture.load(folder)).getMessage();
        assertTrue(directory.contains("is no regular file"), directory);
    }

    @Test
    void shouldNotNeedTheFileAnyMore(@TempDir final Path folder) throws IOException {
        final Path file = folder.resolve("f");
        Files.write(file, CaptureFiles.Kind.PCAP_NANO_LITTLE.write(List.of(SHORT, CUT)));
        try (Capture capture = Capture.load(file)) {
            Files.write(file, new byte[1]);
            assertEquals(2, capture.frames());
            assertEquals(TIME, FrameRecord.nanos(capture.begin()));
            assertEquals(1_000_000, capture.spanNanos());
        }
    }
}

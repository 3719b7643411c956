package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mypervisor.offload.capture.CaptureFiles;
import org.mypervisor.offload.capture.CaptureFiles.Frame;

/** A capture through a filter into a capture: exactly the frames that the rules leave, as they were. */
@Timeout(60)
final class CaptureFilterTest {
    private static final String RULES = "deny udp from any to any port 53\ndeny icmp6 from any to any\n";
    private static final String MACS = "020000000002020000000001";
    private static final String ADDRESSES = "0a0000010a000002";
    private static final String ADDRESSES6 = "20010db8000000000000000000000001".repeat(2);
    private static final String UDP_53 = "0400003500080000";
    private static final String UDP_80 = "0400005000080000";
    private static final String TCP_80 = "0400005000000000000000005002000000000000";
    private static final int SNAP_LENGTH = 262_144;

    @TempDir
    private Path folder;

    private final List<Frame> input = new ArrayList<>();
    private final List<Frame> expected = new ArrayList<>();

    private void add(final boolean passes, final String hex, final int zeros, final int cutOff) {
        final byte[] payload = HexFormat.of().parseHex(hex);
        final byte[] bytes = java.util.Arrays.copyOf(payload, payload.length + zeros);
        final Frame frame =
                new Frame(1_600_000_000_000_000_000L + input.size() * 1_234_567_000L, bytes, bytes.length + cutOff);
        input.add(frame);
        if (passes) {
            expected.add(frame);
        }
    }

    private void pass(final String hex) {
        add(true, hex, 20, 0);
    }

    private void deny(final String hex) {
        add(false, hex, 20, 0);
    }

    private static String ipv4(final int protocol, final int fragment, final String payload) {
        return "0800" + "45000040" + "0001%04x".formatted(fragment) + "40%02x0000".formatted(protocol) + ADDRESSES
                + payload;
    }

    private static String ipv6(final int next, final String payload) {
        return "86dd" + "60000000" + "0020%02x40".formatted(next) + ADDRESSES6 + payload;
    }

    /** What becomes of each follows from the rules and the README, not from what came out. */
    private void oddFrames() {
        deny(MACS + ipv4(17, 0, UDP_53));
        pass(MACS + ipv4(17, 0, UDP_80));
        pass(MACS + ipv4(6, 0, TCP_80));
        // One tag, two tags, and a tag around something else.
        deny(MACS + "81000064" + ipv4(17, 0, UDP_53));
        deny(MACS + "88a80064" + "81000065" + ipv4(17, 0, UDP_53));
        pass(MACS + "88a80064" + "81000065" + ipv4(17, 0, UDP_80));
        pass(MACS + "81000064" + "0806" + "0001080006040001");
        // The first fragment has ports, the later ones have none and match no rule with ports.
        deny(MACS + ipv4(17, 0x2000, UDP_53));
        pass(MACS + ipv4(17, 0x2010, UDP_53));
        pass(MACS + ipv4(17, 0x0020, UDP_53));
        // Behind hop-by-hop options, a routing header and destination options.
        deny(MACS + ipv6(0, "1100" + "010400000000" + UDP_53));
        deny(MACS + ipv6(0, "2b00" + "010400000000" + "3c00" + "000000000000" + "1100" + "010400000000" + UDP_53));
        pass(MACS + ipv6(0, "1100" + "010400000000" + UDP_80));
        deny(MACS + ipv6(58, "8000000000000000"));
        // A later fragment of ICMPv6: its protocol is told by the fragment header.
        deny(MACS + ipv6(44, "3a00" + "0100" + "00000001" + "0000"));
        // Cut off where the rules need to look, and behind that.
        add(false, MACS + "0800" + "4500", 0, 60);
        add(false, MACS + ipv4(17, 0, "0400"), 0, 60);
        add(true, MACS + ipv4(17, 0, UDP_80), 0, 1000);
        add(false, MACS + ipv4(17, 0, UDP_53), 0, 1000);
        // Jumbo frames, and the longest there is.
        add(true, MACS + ipv4(17, 0, UDP_80), 8958, 0);
        add(false, MACS + ipv4(17, 0, UDP_53), 8958, 0);
        add(true, MACS + ipv4(17, 0, UDP_80), 65_547, 0);
        pass(MACS + "88cc" + "0000");
        pass(MACS + "0004" + "4242030000000000");
    }

    private void filter(final byte[] capture, final String output) throws IOException {
        Files.writeString(folder.resolve("rules"), RULES);
        Files.write(folder.resolve("in"), capture);
        final List<String> ports = List.of(
                "id=in,type=pcap,read=" + folder.resolve("in") + ",speed=max",
                "id=out,type=pcap,write=" + folder.resolve(output));
        final String path = "in -> filter(rules=" + folder.resolve("rules") + ") -> out";
        try (RunningBackend backend = RunningBackend.withSpecs(folder, false, ports, List.of(path), List.of())) {
            RunningBackend.await(
                    "all is replayed", () -> backend.port("in").state().equals("done"));
            assertEquals(input.size(), backend.port("in").received().packets());
            assertEquals(expected.size(), backend.port("out").sent().packets());
        }
    }

    @ParameterizedTest
    @EnumSource(CaptureFiles.Kind.class)
    void shouldWriteExactlyWhatTheRulesLeave(final CaptureFiles.Kind kind) throws IOException {
        oddFrames();
        filter(kind.write(input), "out.pcap");
        assertArrayEquals(
                CaptureFiles.pcap(ByteOrder.LITTLE_ENDIAN, true, SNAP_LENGTH, expected),
                Files.readAllBytes(folder.resolve("out.pcap")));
    }

    @Test
    void shouldWritePcapngWhereTheNameSaysSo() throws IOException {
        oddFrames();
        filter(CaptureFiles.Kind.PCAP_NANO_BIG.write(input), "out.pcapng");
        assertArrayEquals(
                CaptureFiles.pcapng(ByteOrder.LITTLE_ENDIAN, SNAP_LENGTH, expected),
                Files.readAllBytes(folder.resolve("out.pcapng")));
    }
}

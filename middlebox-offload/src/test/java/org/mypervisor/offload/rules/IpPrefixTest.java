package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class IpPrefixTest {
    @ParameterizedTest
    @CsvSource({
        "::, 0, 0",
        "::1, 0, 1",
        "1::, 1000000000000, 0",
        "2001:db8::ff00:42:8329, 20010db800000000, 0000ff0000428329",
        "1:2:3:4:5:6:7:8, 1000200030004, 5000600070008",
        "1:2:3:4:5:6:7::, 1000200030004, 5000600070000",
        "::2:3:4:5:6:7:8, 200030004, 5000600070008",
        "::ffff:192.0.2.1, 0, ffffc0000201",
        "1:2:3:4:5:6:192.0.2.1, 1000200030004, 50006c0000201",
        "64:ff9b::192.0.2.33, 64ff9b00000000, c0000221",
        "ABCD:eF01::, abcdef0100000000, 0"
    })
    void shouldReadIpv6(final String text, final String high, final String low) {
        final IpPrefix prefix = IpPrefix.parse(text);
        assertEquals(6, prefix.version());
        assertEquals(128, prefix.length());
        assertEquals(Long.parseUnsignedLong(high, 16), prefix.high());
        assertEquals(Long.parseUnsignedLong(low, 16), prefix.low());
    }

    @Test
    void shouldReadIpv4() {
        assertEquals(new IpPrefix(4, 32, 0, 0xFFFFFFFFL), IpPrefix.parse("255.255.255.255"));
        assertEquals(new IpPrefix(4, 32, 0, 0x0A000001L), IpPrefix.parse("10.0.0.1"));
        assertEquals(new IpPrefix(4, 8, 0, 0x0A000000L), IpPrefix.parse("10.0.0.0/8"));
        assertEquals(new IpPrefix(4, 0, 0, 0), IpPrefix.parse("0.0.0.0/0"));
        assertEquals(IpPrefix.ANY, IpPrefix.parse("any"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "10",
                "10.0.0",
                "10.0.0.0.1",
                "10.0.0.256",
                "10.0.0.01",
                "10.0.0.",
                ".10.0.0",
                "10.0.0.-1",
                "0x0a.0.0.1",
                "10.0.0.1 ",
                "localhost",
                "example.com",
                "1:2:3:4:5:6:7",
                "1:2:3:4:5:6:7:8:9",
                "1:2:3:4::5:6:7:8",
                "1::2::3",
                ":::",
                ":1",
                "1:",
                "12345::",
                "g::",
                "fe80::1%eth0",
                "::1.2.3",
                "1.2.3.4::",
                "::1.2.3.4:5",
                "1:2:3:4:5:6:7:1.2.3.4",
                "1:2:3:4:5:6:7:8::",
                "10.0.0.0/",
                "10.0.0.0/33",
                "10.0.0.0/-1",
                "10.0.0.0/+8",
                "10.0.0.0/255.0.0.0",
                "10.0.0.0/8/8",
                "::/129",
                "/8",
                "any/8",
                "10.0.0.1/8",
                "10.0.0.1/0",
                "2001:db8::1/64",
                "8000::/0",
                "::1/127",
                "1٠.0.0.1",
                "::٠"
            })
    void shouldRefuse(final String text) {
        assertThrows(IllegalArgumentException.class, () -> IpPrefix.parse(text));
    }

    @Test
    void shouldShowBothCuresForHostBits() {
        assertEquals(
                "'192.168.1.7/24' has bits set behind the prefix; write 192.168.1.0/24 for the whole network or"
                        + " 192.168.1.7 for the one address",
                assertThrows(IllegalArgumentException.class, () -> IpPrefix.parse("192.168.1.7/24"))
                        .getMessage());
        assertEquals(
                "'2001:db8::1/32' has bits set behind the prefix; write 2001:db8::/32 for the whole network or"
                        + " 2001:db8::1 for the one address",
                assertThrows(IllegalArgumentException.class, () -> IpPrefix.parse("2001:db8::1/32"))
                        .getMessage());
    }

    @Test
    void shouldMaskEveryPrefixLength() {
        for (int length = 0; length <= 128; length++) {
            final IpPrefix prefix = new IpPrefix(6, length, 0, 0);
            assertEquals(Math.min(length, 64), Long.bitCount(prefix.highMask()));
            assertEquals(Math.max(length - 64, 0), Long.bitCount(prefix.lowMask()));
            assertEquals(Math.min(length, 64), Long.numberOfLeadingZeros(~prefix.highMask()));
            assertEquals(Math.max(length - 64, 0), Long.numberOfLeadingZeros(~prefix.lowMask()));
        }
        for (int length = 0; length <= 32; length++) {
            final IpPrefix prefix = new IpPrefix(4, length, 0, 0);
            assertEquals(0, prefix.highMask());
            assertEquals((0xFFFFFFFFL << 32 - length) & 0xFFFFFFFFL, prefix.lowMask());
        }
    }

    /** The JDK prints all eight groups, so that its text and ours differ, and both must read as the same address. */
    @Test
    void shouldReadWhatItAndTheJdkPrint() throws UnknownHostException {
        final Random random = new Random(42);
        for (int i = 0; i < 2000; i++) {
            final byte[] bytes = new byte[16];
            for (int group = 0; group < 8; group++) {
                if (random.nextInt(3) > 0) {
                    bytes[group * 2] = (byte) random.nextInt();
                    bytes[group * 2 + 1] = (byte) random.nextInt();
                }
            }
            final ByteBuffer words = ByteBuffer.wrap(bytes);
            final IpAddress address = new IpAddress(6, words.getLong(), words.getLong());
            assertEquals(address, IpAddress.parse(address.toString()), address::toString);
            final InetAddress jdk = Inet6Address.getByAddress("", bytes, -1);
            assertEquals(address, IpAddress.parse(jdk.getHostAddress()));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0:0:0:0:0:0:0:0, ::",
        "1:0:0:2:0:0:0:3, 1:0:0:2::3",
        "1:0:2:3:4:5:6:7, 1:0:2:3:4:5:6:7",
        "0:0:1:2:3:4:5:6, ::1:2:3:4:5:6",
        "1:2:3:4:5:6:0:0, 1:2:3:4:5:6::",
        "1:0:0:2:3:0:0:4, 1::2:3:0:0:4",
        "10:0:0:0:0:0:0:10, 10::10"
    })
    void shouldPrintAsRfc5952Asks(final String full, final String shortened) {
        assertEquals(shortened, IpAddress.parse(full).toString());
    }
}

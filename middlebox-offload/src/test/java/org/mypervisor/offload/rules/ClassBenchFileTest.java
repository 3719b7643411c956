package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.offload.rules.Frames.ethernet;
import static org.mypervisor.offload.rules.Frames.hex;
import static org.mypervisor.offload.rules.Frames.ipv4;
import static org.mypervisor.offload.rules.Frames.tcp;
import static org.mypervisor.offload.rules.Frames.udp;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mypervisor.offload.Packet;
import org.mypervisor.offload.rules.Rule.PortRange;

class ClassBenchFileTest {
    private static final String EXAMPLE = """
            @10.0.0.0/8\t192.168.1.0/24\t0 : 65535\t1521 : 1526\t0x06/0xFF\t0x0000/0x0200\t
            @0.0.0.0/0\t192.168.1.2/32\t1024 : 65535\t0 : 65535\t0x11/0xff\t0x0000/0x0000
            # a comment

            @10.0.0.1/32 0.0.0.0/0 0 : 65535 80 : 80 0x00/0x00
            @2001:db8::/32 ::/0 0 : 65535 0 : 65535 0x3A/0xFF
            """;

    private static RuleSet parse(final String text) throws RuleFileException {
        return RuleFormat.CLASSBENCH_DENY.parse("acl1", text);
    }

    @Test
    void shouldReadTheFieldsOfAFilterSet() throws RuleFileException {
        final RuleSet rules = parse(EXAMPLE);
        assertEquals(4, rules.size());
        final Rule first = rules.rule(0);
        assertEquals(IpPrefix.parse("10.0.0.0/8"), first.from().prefix());
        assertEquals(List.of(), first.from().ports());
        assertEquals(List.of(new PortRange(1521, 1526)), first.to().ports());
        assertEquals(Headers.TCP, first.protocol());
        assertEquals(Headers.IPV4, first.families());
        assertEquals("@10.0.0.0/8 192.168.1.0/24 0 : 65535 1521 : 1526 0x06/0xFF 0x0000/0x0200", rules.text(0));
        assertEquals(List.of(new PortRange(1024, 65535)), rules.rule(1).from().ports());
        assertEquals(Rule.ANY, rules.rule(2).protocol());
        assertEquals(5, rules.rule(2).line());
        assertEquals(Headers.IPV6, rules.rule(3).families());
        assertEquals(58, rules.rule(3).protocol());
        assertFalse(rules.allows(0));
        assertTrue(rules.allows(4));
    }

    @Test
    void shouldMatchPortsOfAnyProtocolThatHasThem() throws RuleFileException {
        final RuleSet rules = parse("@10.0.0.1/32 0.0.0.0/0 0 : 65535 80 : 80 0x00/0x00 0x0000/0x0000");
        assertTrue(rules.namesL4());
        assertEquals(0, match(rules, ethernet("0800", ipv4(6, "0a000001", "c0a80102", tcp(1, 80)))));
        assertEquals(0, match(rules, ethernet("0800", ipv4(17, "0a000001", "c0a80102", udp(1, 80)))));
        assertEquals(1, match(rules, ethernet("0800", ipv4(17, "0a000001", "c0a80102", udp(80, 81)))));
        assertEquals(1, match(rules, ethernet("0800", ipv4(1, "0a000001", "c0a80102", hex("0000005000500050")))));
        assertEquals(
                RuleSet.UNPARSABLE, match(rules, ethernet("0800", ipv4(6, "0a000001", "c0a80102", hex("00500050")))));
    }

    private static int match(final RuleSet rules, final byte[] frame) {
        final Headers headers = new Headers();
        headers.parse(Frames.load(new Packet(), frame));
        return new RuleLookup(1).firstMatch(rules, headers);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF | 1 | expected '@' and the source, not '10.0.0.0/8': a line is @SOURCE DESTINATION LOW : HIGH LOW : HIGH PROTOCOL/MASK [FLAGS/MASK]",
                "@10.0.0.0 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF | 1 | expected the source as ADDRESS/LENGTH, not '@10.0.0.0'",
                "@10.0.0.1/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF | 2 | '10.0.0.1/8' has bits set behind the prefix; write 10.0.0.0/8 for the whole network or 10.0.0.1 for the one address",
                "@10.0.0.0/8 | 12 | expected the destination as ADDRESS/LENGTH, not the end of the line",
                "@10.0.0.0/8 ::/0 0 : 1 0 : 1 0x06/0xFF | 18 | source and destination are of different IP versions: no frame has both",
                "@10.0.0.0/8 0.0.0.0/0 x : 1 0 : 1 0x06/0xFF | 23 | expected a port of the source from 0 to 65535, not 'x'",
                "@10.0.0.0/8 0.0.0.0/0 0 - 1 0 : 1 0x06/0xFF | 25 | expected ':' between the source's first and last port, not '-'",
                "@10.0.0.0/8 0.0.0.0/0 0 : 1 9 : 1 0x06/0xFF | 29 | the range runs backwards; write 1 : 9",
                "@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 65536 0x06/0xFF | 33 | expected a port of the destination from 0 to 65535, not '65536'",
                "@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xF0 | 35 | expected the protocol as 0x06/0xFF, or 0x00/0x00 for any, not '0x06/0xF0'",
                "@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF syn | 45 | expected TCP flags as 0x0000/0x0000, not 'syn'",
                "@10.0.0.0/8 0.0.0.0/0 0 : 1 0 : 1 0x06/0xFF 0x0/0x0 x | 53 | unexpected 'x': a rule ends behind its flags; write one rule a line"
            })
    void shouldNameThePlaceOfAMistake(final String line, final int column, final String text) {
        final RuleFileException e = assertThrows(RuleFileException.class, () -> parse("\n" + line));
        assertEquals("acl1:2:" + column + ": " + text, e.getMessage());
    }

    @Test
    void shouldReadAHundredThousandRules() throws RuleFileException {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < 100_000; i++) {
            text.append("@10.%d.%d.0/24 172.%d.0.0/16 0 : 65535 %d : 65535 0x06/0xFF 0x0000/0x0000%n"
                    .formatted(i & 255, i >>> 8 & 255, i * 7 & 255, i & 0x3FFF));
        }
        final RuleSet rules = parse(text.toString());
        assertTrue(rules.compiledBytes() < 64 << 20);
        assertEquals(0, match(rules, ethernet("0800", ipv4(6, "0a000001", "ac000001", tcp(1, 80)))));
    }
}

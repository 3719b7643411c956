package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.offload.rules.Rule.PortRange;

class RuleFileTest {
    private static final String EXAMPLE = """
            deny  udp from any to any port 53
            allow tcp from 10.0.0.0/8 port 1024-65535 to 192.168.1.0/24 port 80,443
            deny  ip6 from 2001:db8::/32 to any
            deny  icmp from any to 10.0.0.7
            deny  ether type 0x88cc
            """;

    private static RuleSet parse(final String text) throws RuleFileException {
        return RuleFile.parse("acl.rules", text);
    }

    private static List<String> mistakes(final String text) {
        return assertThrows(RuleFileException.class, () -> parse(text)).mistakes().stream()
                .map(Mistake::toString)
                .toList();
    }

    @Test
    void shouldReadTheExampleOfTheManual() throws RuleFileException {
        final RuleSet rules = parse(EXAMPLE);
        assertEquals(5, rules.size());
        assertTrue(rules.allows(5));
        assertEquals("deny udp from any to any port 53", rules.text(0));
        assertEquals("default allow", rules.text(5));
        final Rule second = rules.rule(1);
        assertTrue(second.allow());
        assertEquals(Headers.IPV4, second.families());
        assertEquals(6, second.protocol());
        assertEquals(List.of(new PortRange(1024, 65535)), second.from().ports());
        assertEquals(
                List.of(new PortRange(80, 80), new PortRange(443, 443)),
                second.to().ports());
        assertEquals(2, second.line());
        assertEquals(0x88cc, rules.rule(4).etherType());
    }

    @Test
    void shouldTolerateCommentsBlanksCarriageReturnsAndByteOrderMark() throws RuleFileException {
        final String text =
                "\uFEFF# head\r\n\r\n \t deny\tarp # ARP\r\n#\r\nallow ip from any to any#all\r\n default  deny ";
        final RuleSet rules = parse(SourceText.decode("acl.rules", text.getBytes(StandardCharsets.UTF_8)));
        assertEquals(2, rules.size());
        assertEquals("deny arp", rules.text(0));
        assertEquals("allow ip from any to any", rules.text(1));
        assertEquals(5, rules.rule(1).line());
        assertFalse(rules.allows(2));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "\n", "# nothing", "default allow", "\n\ndefault allow\n\n# end\n"})
    void shouldAllowAllWithoutRules(final String text) throws RuleFileException {
        final RuleSet rules = parse(text);
        assertEquals(0, rules.size());
        assertTrue(rules.allows(0));
        assertFalse(rules.namesL4());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "deny any from any to any",
                "deny any from 10.0.0.0/8 to any",
                "deny proto 47 from any to ::1",
                "deny proto 0 from any to any",
                "deny tcp from any port 0 to any port 65535",
                "deny udp from ::/0 port 1-1,2-3 to any",
                "deny icmp6 from fe80::/10 to ff02::1",
                "deny ether type 0x0600",
                "deny ether type 0xFFFF",
                "deny ether type 0x0800"
            })
    void shouldAccept(final String rule) throws RuleFileException {
        assertEquals(rule, parse(rule).text(0));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "dney tcp from any to any | 1 | unknown word 'dney': a line begins with 'allow', 'deny' or 'default'; did you mean 'deny'?",
                "DENY tcp from any to any | 1 | unknown word 'DENY': a line begins with 'allow', 'deny' or 'default'; did you mean 'deny'?",
                "deny | 5 | expected what to match, one of ip, ip6, tcp, udp, icmp, icmp6, arp, proto, ether, any; not the end of the line",
                "deny tpc from any to any | 6 | expected what to match, one of ip, ip6, tcp, udp, icmp, icmp6, arp, proto, ether, any; not 'tpc'; did you mean 'tcp'?",
                "deny tcp | 9 | expected 'from', not the end of the line: 'tcp' needs 'from ADDRESS to ADDRESS', where ADDRESS may be 'any'",
                "deny tcp to any | 10 | expected 'from', not 'to': 'tcp' needs 'from ADDRESS to ADDRESS', where ADDRESS may be 'any'",
                "deny tcp form any to any | 10 | expected 'from', not 'form': 'tcp' needs 'from ADDRESS to ADDRESS', where ADDRESS may be 'any'; did you mean 'from'?",
                "deny tcp from any | 18 | expected 'to', not the end of the line: 'tcp' needs 'from ADDRESS to ADDRESS', where ADDRESS may be 'any'",
                "deny tcp from to any | 15 | expected an address after 'from', not 'to'; write 'any' for all",
                "deny tcp from any to | 21 | expected an address after 'to', not the end of the line; write 'any' for all",
                "deny tcp from port 80 to any | 15 | expected an address after 'from', not 'port'; write 'any' for all",
                "deny tcp from 10.0.0.256 to any | 15 | '10.0.0.256' is not an IP address: 256 is more than 255",
                "deny tcp from web to any | 15 | 'web' is not an IP address: names are not looked up; write 'any', 192.0.2.1 or 2001:db8::1",
                "deny tcp from 10.0.0.1/8 to any | 15 | '10.0.0.1/8' has bits set behind the prefix; write 10.0.0.0/8 for the whole network or 10.0.0.1 for the one address",
                "deny tcp from any to 10.0.0.0/33 | 22 | the prefix length '33' is not a number from 0 to 32; masks are not understood",
                "deny ip6 from 10.0.0.0/8 to any | 15 | '10.0.0.0/8' is IPv4, but 'ip6' matches IPv6 only; change one of them",
                "deny ip from any to ::1 | 21 | '::1' is IPv6, but 'ip' matches IPv4 only; change one of them",
                "deny icmp from ::1 to any | 16 | '::1' is IPv6, but 'icmp' matches IPv4 only; change one of them",
                "deny icmp6 from any to 10.0.0.7 | 24 | '10.0.0.7' is IPv4, but 'icmp6' matches IPv6 only; change one of them",
                "deny tcp from 10.0.0.1 to ::1 | 27 | '::1' is IPv6, but the source is not: no frame has both; use addresses of one version",
                "deny tcp from any port 65536 to any | 24 | '65536' is not a port: a number from 0 to 65535",
                "deny tcp from any to any port 80,x | 34 | 'x' is not a port: a number from 0 to 65535",
                "deny tcp from any to any port 80-79 | 31 | the range '80-79' runs backwards; write 79-80",
                "deny tcp from any to any port 1,20- | 36 | '' is not a port: a number from 0 to 65535",
                "deny tcp from any to any port 80, 443 | 34 | a port is missing in the list; write for example 80,443 without blanks",
                "deny tcp from any to any port | 30 | expected ports after 'port', not the end of the line; write for example 80,443,1024-65535",
                "deny ip from any to any port 80 | 25 | 'ip' has no ports that a rule could name; use 'tcp' or 'udp'",
                "deny icmp from any port 8 to any | 20 | 'icmp' has no ports that a rule could name; use 'tcp' or 'udp'",
                "deny proto 6 from any to any port 80 | 30 | 'proto 6' has no ports that a rule could name; use 'tcp' or 'udp'",
                "deny proto tcp from any to any | 12 | expected a protocol number from 0 to 255 after 'proto', not 'tcp'",
                "deny proto 256 from any to any | 12 | expected a protocol number from 0 to 255 after 'proto', not '256'",
                "deny proto | 11 | expected a protocol number from 0 to 255 after 'proto', not the end of the line",
                "deny arp from any to any | 10 | unexpected 'from': 'arp' takes no from, to or port, because it is judged by the ether type alone; remove the rest",
                "deny ether type 0x88cc from any to any | 24 | unexpected 'from': 'ether type' takes no from, to or port, because it is judged by the ether type alone; remove the rest",
                "deny ether 0x88cc | 12 | expected 'type' after 'ether', not '0x88cc'; write for example: ether type 0x88cc",
                "deny ether type lldp | 17 | expected an ether type of up to four hexadecimal digits like 0x88cc, not 'lldp'",
                "deny ether type 0x188cc | 17 | expected an ether type of up to four hexadecimal digits like 0x88cc, not '0x188cc'",
                "deny ether type 0x05ff | 17 | '0x05ff' is a frame length, not an ether type: ether types begin at 0x0600",
                "deny ether type 0x8100 | 17 | '0x8100' could never match, because VLAN tags are looked through; name the type behind the tag",
                "deny tcp from any to any prot 80 | 26 | unexpected 'prot': a rule ends behind its destination; write one rule a line; did you mean 'port'?",
                "default | 8 | expected 'allow' or 'deny' after 'default', not the end of the line",
                "default drop | 9 | expected 'allow' or 'deny' after 'default', not 'drop'",
                "default deny all | 14 | unexpected 'all': 'default' stands for every other frame and takes nothing more"
            })
    void shouldSayWhatIsWrongAndWhere(final String line, final int column, final String message) {
        assertEquals(List.of("acl.rules:2:" + column + ": " + message), mistakes("# first line\n" + line + "\n"));
    }

    @Test
    void shouldCountTabsAndIndentationAsColumns() {
        assertEquals("acl.rules:1:4", mistakes("\t  dny arp").get(0).split(": ")[0]);
    }

    @Test
    void shouldRefuseRulesAfterDefaultOnce() {
        assertEquals(
                List.of("acl.rules:3:1: a rule after the default of line 1 could never match; move the default to the"
                        + " end of the file"),
                mistakes("default deny\n# comments are fine\nallow arp\nallow arp\n"));
    }

    @Test
    void shouldRefuseSecondDefault() {
        assertEquals(
                List.of("acl.rules:2:2: a second default; the first one is in line 1, remove one of them"),
                mistakes("default deny\n default deny\n"));
    }

    @Test
    void shouldNameTheFirstMistakeOfEveryLine() {
        assertEquals(
                List.of("acl.rules:1:1", "acl.rules:3:10"),
                mistakes("foo bar\nallow arp\ndeny tcp x y\n").stream()
                        .map(message -> message.split(": ")[0])
                        .toList());
    }

    @Test
    void shouldOnlyCountMistakesAfterTheFirstFifty() {
        final List<String> all = mistakes("x\n".repeat(1000));
        assertEquals(51, all.size());
        assertEquals("acl.rules:50:1: and 950 more mistakes after this one", all.get(50));
    }

    @Test
    void shouldNotObeyControlCharactersOfTheFile() {
        assertTrue(mistakes("\u001b[2Jdeny arp").get(0).startsWith("acl.rules:1:1: unknown word '\\u001b[2Jdeny'"));
    }

    @Test
    void shouldRefuseTooLongLine() {
        final String line = "deny tcp from any to any port 1" + ",1".repeat(2500);
        assertEquals(
                List.of("acl.rules:1:4097: the line has 5031 characters, more than 4096; write several rules with fewer"
                        + " ports each"),
                mistakes(line));
    }

    @Test
    void shouldRefuseBytesThatAreNotUtf8() {
        final byte[] bytes = "deny arp\ndeny # caf".getBytes(StandardCharsets.UTF_8);
        final byte[] latin1 = Frames.join(bytes, new byte[] {(byte) 0xE9, '\n'});
        final RuleFileException e = assertThrows(RuleFileException.class, () -> SourceText.decode("acl.rules", latin1));
        assertEquals("acl.rules:2:11: byte 0xe9 is not UTF-8 text; save the file as UTF-8", e.getMessage());
    }

    @Test
    void shouldSayWhyFileCannotBeRead(@TempDir final Path folder) throws IOException {
        final Path missing = folder.resolve("missing.rules");
        assertEquals(
                missing + ":1:1: cannot be read: there is no such file (" + missing + ")",
                assertThrows(RuleFileException.class, () -> RuleFormat.MYPERVISOR.load(missing))
                        .getMessage());
        assertEquals(
                folder + ":1:1: cannot be read: it is a folder; name a file",
                assertThrows(RuleFileException.class, () -> RuleFormat.MYPERVISOR.load(folder))
                        .getMessage());
        final Path large = folder.resolve("large.rules");
        Files.write(large, new byte[SourceText.MAX_SIZE + 1]);
        assertEquals(
                large + ":1:1: the file is larger than 16 MiB; split or shorten it",
                assertThrows(RuleFileException.class, () -> RuleFormat.MYPERVISOR.load(large))
                        .getMessage());
    }

    @Test
    void shouldReadFile(@TempDir final Path folder) throws IOException, RuleFileException {
        final Path file = Files.writeString(folder.resolve("acl.rules"), EXAMPLE);
        assertEquals(5, RuleFormat.MYPERVISOR.load(file).size());
    }
}

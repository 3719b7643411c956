package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.offload.rules.Frames.ethernet;
import static org.mypervisor.offload.rules.Frames.fragment;
import static org.mypervisor.offload.rules.Frames.hex;
import static org.mypervisor.offload.rules.Frames.ipv4;
import static org.mypervisor.offload.rules.Frames.ipv4Fragment;
import static org.mypervisor.offload.rules.Frames.ipv6;
import static org.mypervisor.offload.rules.Frames.join;
import static org.mypervisor.offload.rules.Frames.tcp;
import static org.mypervisor.offload.rules.Frames.udp;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.offload.Packet;

class RuleSetTest {
    private static final String A4 = "0a000001";
    private static final String B4 = "c0a80102";
    private static final String A6 = "20010db8000000000000000000000001";
    private static final String B6 = "20010db80000000000000000000000ff";
    private static final byte[] TCP4 = ethernet("0800", ipv4(6, A4, B4, tcp(50000, 80)));
    private static final byte[] UDP4 = ethernet("0800", ipv4(17, A4, B4, udp(50000, 53)));
    private static final byte[] TCP6 = ethernet("86dd", ipv6(6, A6, B6, tcp(50000, 80)));
    private static final byte[] ICMP4 = ethernet("0800", ipv4(1, A4, B4, hex("0800f7ff00000000")));
    private static final byte[] ICMP6 = ethernet("86dd", ipv6(58, A6, B6, hex("8700000000000000")));
    private static final byte[] ARP = ethernet("0806", hex("0001080006040001", "00".repeat(20)));
    private static final byte[] LLDP = ethernet("88cc", hex("0207"));

    private final Packet packet = new Packet();
    private final Headers headers = new Headers();

    private int match(final String rules, final byte[] frame) {
        try {
            final RuleSet set = RuleFile.parse("test.rules", rules);
            headers.parse(Frames.load(packet, frame));
            return new RuleLookup(1).firstMatch(set, headers);
        } catch (final RuleFileException e) {
            throw new AssertionError(e);
        }
    }

    private String matched(final String rule) {
        final StringBuilder names = new StringBuilder();
        final byte[][] frames = {TCP4, UDP4, TCP6, ICMP4, ICMP6, ARP, LLDP};
        final String[] letters = {"tcp4", "udp4", "tcp6", "icmp4", "icmp6", "arp", "lldp"};
        for (int i = 0; i < frames.length; i++) {
            if (match(rule, frames[i]) == 0) {
                names.append(letters[i]).append(' ');
            }
        }
        return names.toString().trim();
    }

    @ParameterizedTest
    @CsvSource({
        "deny any from any to any, tcp4 udp4 tcp6 icmp4 icmp6",
        "deny ip from any to any, tcp4 udp4 icmp4",
        "deny ip6 from any to any, tcp6 icmp6",
        "deny tcp from any to any, tcp4 tcp6",
        "deny tcp from 0.0.0.0/0 to any, tcp4",
        "deny tcp from any to ::/0, tcp6",
        "deny udp from any to any port 53, udp4",
        "deny udp from any port 53 to any, ''",
        "deny udp from any port 49999-50000 to any, udp4",
        "deny icmp from any to any, icmp4",
        "deny icmp6 from any to any, icmp6",
        "deny proto 1 from any to any, icmp4",
        "deny proto 6 from any to any, tcp4 tcp6",
        "deny any from 10.0.0.0/8 to any, tcp4 udp4 icmp4",
        "deny any from any to 192.168.1.2, tcp4 udp4 icmp4",
        "deny any from any to 192.168.1.3, ''",
        "deny any from 192.168.1.2 to 10.0.0.1, ''",
        "deny any from 2001:db8::/32 to 2001:db8::ff, tcp6 icmp6",
        "deny any from 2001:db8::/127 to any, tcp6 icmp6",
        "deny any from 2001:db8::/128 to any, ''",
        "deny arp, arp",
        "deny ether type 0x88cc, lldp",
        "deny ether type 0x0800, tcp4 udp4 icmp4",
        "deny ether type 0x86dd, tcp6 icmp6"
    })
    void shouldMatchOnly(final String rule, final String frames) {
        assertEquals(frames, matched(rule));
    }

    @Test
    void shouldTakeTheFirstRuleThatMatches() {
        final String rules = "allow tcp from any to any port 443\ndeny tcp from any to any port 1-100\n"
                + "allow tcp from any to any port 80\ndefault deny";
        assertEquals(1, match(rules, TCP4));
        assertEquals(3, match(rules, UDP4));
    }

    @Test
    void shouldMatchLaterFragmentsByProtocolAndNeverByPorts() {
        final byte[] later = ethernet("0800", ipv4Fragment(17, A4, B4, 0x0001, udp(50000, 53)));
        assertEquals(1, match("deny udp from any to any port 53", later));
        assertEquals(1, match("deny udp from any port 0-65535 to any", later));
        assertEquals(0, match("deny udp from any to any", later));
        final byte[] later6 = ethernet("86dd", ipv6(44, A6, B6, join(fragment(17, 1, false), udp(50000, 53))));
        assertEquals(1, match("deny udp from any to any port 53", later6));
        assertEquals(0, match("deny udp from any to any", later6));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "allow tcp from any to any", "deny udp from any to any", "allow icmp from any to any",
                "allow icmp6 from any to any", "deny proto 47 from any to any", "allow arp\ndeny udp from any to ::1"
            })
    void shouldNotParseTruncatedFrameForSetThatNamesL4(final String rules) throws RuleFileException {
        assertTrue(RuleFile.parse("test.rules", rules).namesL4());
        for (int length = 0; length < TCP4.length; length++) {
            assertEquals(RuleSet.UNPARSABLE, match(rules, Arrays.copyOf(TCP4, length)));
        }
        assertEquals(RuleSet.UNPARSABLE, match(rules, Arrays.copyOf(TCP6, TCP6.length - 1)));
    }

    @Test
    void shouldJudgeTruncatedFrameByWhatWasParsedIfThatIsEnough() {
        for (int length = 34; length < TCP4.length; length++) {
            final byte[] frame = Arrays.copyOf(TCP4, length);
            assertEquals(0, match("deny ip from 10.0.0.0/8 to any", frame));
            assertEquals(1, match("deny ip from 11.0.0.0/8 to any", frame));
        }
        for (int length = 14; length < TCP4.length; length++) {
            final byte[] frame = Arrays.copyOf(TCP4, length);
            assertEquals(0, match("deny ip from any to any", frame));
            assertEquals(1, match("deny arp", frame));
        }
        for (int length = 0; length < 14; length++) {
            assertEquals(0, match("default deny", Arrays.copyOf(TCP4, length)));
        }
    }

    @Test
    void shouldNotParseFrameThatEndsBeforeWhatTheRulesLookAt() {
        for (int length = 0; length < 34; length++) {
            assertEquals(RuleSet.UNPARSABLE, match("deny ip from 10.0.0.0/8 to any", Arrays.copyOf(TCP4, length)));
        }
        for (int length = 0; length < 14; length++) {
            assertEquals(RuleSet.UNPARSABLE, match("deny arp", Arrays.copyOf(TCP4, length)));
        }
    }

    @Test
    void shouldJudgeFramesThatAreNotIpByTheirType() {
        assertEquals(1, match("deny tcp from any to any", ARP));
        assertEquals(1, match("deny tcp from any to any\ndefault deny", LLDP));
    }
}

package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.offload.rules.Frames.ethernet;
import static org.mypervisor.offload.rules.Frames.extension;
import static org.mypervisor.offload.rules.Frames.hex;
import static org.mypervisor.offload.rules.Frames.ipv4;
import static org.mypervisor.offload.rules.Frames.ipv4Fragment;
import static org.mypervisor.offload.rules.Frames.ipv6;
import static org.mypervisor.offload.rules.Frames.join;
import static org.mypervisor.offload.rules.Frames.tcp;
import static org.mypervisor.offload.rules.Frames.udp;

import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.mypervisor.offload.FilterElement.RuleHits;
import org.mypervisor.offload.rules.Frames;
import org.mypervisor.offload.rules.RuleFile;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.virtqueue.BufferBurst;

class FilterElementTest {
    private static final int DENIED = DropReason.DENIED.ordinal();
    private static final int UNPARSABLE = DropReason.UNPARSABLE.ordinal();
    private static final int FRAMES = 1_000_000;
    private static final String A6 = "20010db8000000000000000000000001";
    private static final byte[] DNS = ethernet("0800", ipv4(17, "0a000001", "c0a80102", udp(50000, 53)));
    private static final byte[] WEB = ethernet("0800", ipv4(6, "0a000001", "c0a80102", tcp(50000, 80)));
    private static final byte[] LLDP = ethernet("88cc", new byte[0]);

    private final Packet packet = new Packet();

    private static FilterElement filter(final String rules) throws RuleFileException {
        return new FilterElement(RuleFile.parse("test.rules", rules));
    }

    @Test
    void shouldPassOrDenyByTheFirstRule() throws RuleFileException {
        final FilterElement filter =
                filter("deny udp from any to any port 53\nallow tcp from any to any\ndefault deny");
        assertEquals(DENIED, filter.process(Frames.load(packet, DNS)));
        assertEquals(Element.PASS, filter.process(Frames.load(packet, WEB)));
        assertEquals(DENIED, filter.process(Frames.load(packet, LLDP)));
    }

    @Test
    void shouldCountHitsOfEachRuleAndOfTheDefault() throws RuleFileException {
        final FilterElement filter =
                filter("deny udp from any to any port 53\nallow tcp from any to any\ndefault deny");
        for (final byte[] frame : List.of(DNS, DNS, WEB, LLDP, LLDP, LLDP, new byte[9])) {
            filter.process(Frames.load(packet, frame));
        }
        assertEquals(
                List.of(
                        new RuleHits("deny udp from any to any port 53", 2),
                        new RuleHits("allow tcp from any to any", 1),
                        new RuleHits("default deny", 3)),
                filter.hits());
    }

    @Test
    void shouldEndTruncatedFramesAsUnparsable() throws RuleFileException {
        final FilterElement filter = filter("deny udp from any to any port 53");
        for (int length = 0; length < WEB.length; length++) {
            assertEquals(UNPARSABLE, filter.process(Frames.load(packet, Arrays.copyOf(WEB, length))));
        }
        assertEquals(Element.PASS, filter.process(Frames.load(packet, WEB)));
    }

    @Test
    void shouldJudgeABurstAsOneFrameAfterTheOther() throws RuleFileException {
        final List<byte[]> kinds = List.of(
                DNS,
                WEB,
                LLDP,
                new byte[9],
                Arrays.copyOf(WEB, WEB.length - 1),
                ethernet("0806", new byte[28]),
                ethernet("0800", ipv4Fragment(17, "0a000001", "c0a80102", 100, udp(50000, 53))),
                ethernet("0800", ipv4(17, "0a000001", "c0a80102", udp(50000, 99))),
                ethernet("86dd", ipv6(17, A6, A6, udp(7, 443))),
                ethernet("86dd", ipv6(6, A6, A6, tcp(50000, 80))));
        final String first = "deny udp from any to any port 53,90-99\nallow any from any to any\n";
        final String second = "deny arp\ndeny udp from any port 1-8,50 to any\ndefault allow";
        final Element[] together = {filter(first), new CountElement(), filter(second)};
        final Element[] alone = {filter(first), new CountElement(), filter(second)};
        final Packet[] packets = new Packet[BufferBurst.MOST];
        Arrays.setAll(packets, i -> new Packet());
        final Random random = new Random(1);
        final int[] seen = new int[DropReason.values().length + 1];
        for (int round = 0; round < 2_000; round++) {
            final int count = random.nextInt(BufferBurst.MOST + 1);
            final int[] verdicts = new int[BufferBurst.MOST];
            final int[] expected = new int[BufferBurst.MOST];
            for (int i = 0; i < BufferBurst.MOST; i++) {
                Frames.load(packets[i], kinds.get(random.nextInt(kinds.size())));
                // Some have been ended before, and those behind the burst are none of its.
                verdicts[i] = random.nextInt(8) == 0 ? DropReason.NO_BUFFER.ordinal() : Element.PASS;
                expected[i] = i < count ? judge(alone, packets[i], verdicts[i]) : verdicts[i];
                seen[1 + expected[i]]++;
            }
            for (final Element element : together) {
                element.processAll(packets, count, verdicts);
            }
            assertArrayEquals(expected, verdicts);
        }
        for (int i = 0; i < together.length; i++) {
            assertEquals(alone[i].counts(), together[i].counts());
        }
        assertEquals(((FilterElement) alone[0]).hits(), ((FilterElement) together[0]).hits());
        assertEquals(((FilterElement) alone[2]).hits(), ((FilterElement) together[2]).hits());
        for (final int verdict : List.of(Element.PASS, DENIED, UNPARSABLE, DropReason.NO_BUFFER.ordinal())) {
            assertTrue(seen[1 + verdict] > 1_000, "hardly any " + verdict);
        }
    }

    private static int judge(final Element[] elements, final Packet packet, final int before) {
        int verdict = before;
        for (int i = 0; i < elements.length && verdict == Element.PASS; i++) {
            verdict = elements[i].process(packet);
        }
        return verdict;
    }

    @Test
    void shouldNotParseL4BeyondTheSnapshot() throws RuleFileException {
        final FilterElement filter = filter("deny udp from any to any port 53");
        // 54 bytes of Ethernet and IPv6, 8 of UDP: 66 are left for the extension header.
        final byte[] within = ethernet("86dd", ipv6(60, A6, A6, join(extension(17, 64), udp(1, 80))));
        final byte[] beyond = ethernet("86dd", ipv6(60, A6, A6, join(extension(17, 72), udp(1, 80))));
        assertEquals(Element.PASS, filter.process(Frames.load(packet, within)));
        assertEquals(UNPARSABLE, filter.process(Frames.load(packet, beyond)));
    }

    @Test
    void shouldPassEverythingWithoutRules() throws RuleFileException {
        final FilterElement filter = filter("");
        assertEquals(Element.PASS, filter.process(Frames.load(packet, new byte[0])));
        assertEquals(Element.PASS, filter.process(Frames.load(packet, hex("00"))));
        assertEquals(Element.PASS, filter.process(Frames.load(packet, LLDP)));
    }

    @Test
    void shouldJudgeByNewRulesAndCountAnewAfterUse() throws RuleFileException {
        final FilterElement filter = filter("deny udp from any to any port 53");
        assertEquals(DENIED, filter.process(Frames.load(packet, DNS)));
        filter.use(RuleFile.parse("test.rules", "allow arp\nallow udp from any to any"));
        assertEquals(Element.PASS, filter.process(Frames.load(packet, DNS)));
        assertEquals(
                List.of(0L, 1L, 0L),
                filter.hits().stream().map(RuleHits::frames).toList());
    }

    @Test
    void shouldAllocateNothingPerFrame() throws RuleFileException {
        final StringBuilder rules = new StringBuilder();
        for (int i = 0; i < 20; i++) {
            rules.append("deny tcp from 10.1.").append(i).append(".0/24 port 1-9,20 to any port 22,23\n");
        }
        final FilterElement filter =
                filter(rules + "deny ip6 from 2001:db8::/32 to any\nallow udp from any to any port 53");
        final CountElement count = new CountElement();
        final Packet[] packets = new Packet[4];
        final byte[][] frames = {DNS, WEB, LLDP, ethernet("86dd", ipv6(60, A6, A6, join(extension(17, 8), udp(1, 2))))};
        for (int i = 0; i < packets.length; i++) {
            packets[i] = Frames.load(new Packet(), frames[i]);
        }
        run(filter, count, packets);
        final var thread = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        final long id = Thread.currentThread().getId();
        // The measurement's own first call and a late compilation may allocate; a frame that does would do so each
        // round.
        long least = Long.MAX_VALUE;
        long denied = 0;
        for (int round = 0; round < 3; round++) {
            final long before = thread.getThreadAllocatedBytes(id);
            denied = run(filter, count, packets);
            least = Math.min(least, thread.getThreadAllocatedBytes(id) - before);
        }
        assertEquals(0, least);
        assertTrue(denied > 0);
    }

    private static long run(final FilterElement filter, final CountElement count, final Packet[] packets) {
        long denied = 0;
        for (int i = 0; i < FRAMES; i++) {
            final Packet next = packets[i & 3];
            denied += filter.process(next) == Element.PASS ? 0 : 1;
            denied += count.process(next) == Element.PASS ? 0 : 1;
        }
        return denied;
    }
}

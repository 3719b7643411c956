package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTimeout;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.offload.rules.SyntheticRules.Style;
import org.mypervisor.virtqueue.BufferBurst;
import org.mypervisor.virtqueue.RawMemory;

/** The compiled rules find the rule that a walk from the first to the last one finds. */
class ClassifierTest {
    private static final int MILLION = 1_000_000;
    /** Rules times frames of one set: what the walk takes a second or so for. */
    private static final long MOST_COMPARED = 60_000_000;

    private static final int MOST_TOGETHER = BufferBurst.MOST;

    private final Headers headers = new Headers();
    private final RuleLookup lookup = new RuleLookup(MOST_TOGETHER);
    private final long memory = RawMemory.allocate(RuleTraffic.MOST_BYTES);

    @AfterEach
    void free() {
        RawMemory.free(memory, RuleTraffic.MOST_BYTES);
    }

    private static RuleSet parse(final String text) {
        try {
            return RuleFile.parse("synthetic.rules", text);
        } catch (final RuleFileException e) {
            throw new AssertionError(e);
        }
    }

    private static String lines(final List<String> parts, final long seed) {
        final List<String> lines = new ArrayList<>();
        parts.forEach(part -> lines.addAll(part.lines().toList()));
        Collections.shuffle(lines, new Random(seed));
        return String.join("\n", lines) + "\n";
    }

    /** Compares so many frames, looked up in lots of all sizes, and returns how many of them some rule matched. */
    private int compare(final RuleSet rules, final long seed, final int frames) {
        final NaiveWalk walk = new NaiveWalk(rules);
        final RuleTraffic traffic = new RuleTraffic(rules, seed, 10);
        final ByteBuffer frame = ByteBuffer.allocate(RuleTraffic.MOST_BYTES);
        final int[] expected = new int[MOST_TOGETHER];
        final byte[][] bytes = new byte[MOST_TOGETHER][];
        final Random sizes = new Random(seed);
        int matched = 0;
        for (int done = 0; done < frames; ) {
            final int together = Math.min(frames - done, 1 + sizes.nextInt(MOST_TOGETHER));
            lookup.begin();
            for (int i = 0; i < together; i++) {
                final int length = traffic.next(frame);
                for (int b = 0; b < length; b++) {
                    RawMemory.putU8(memory + b, frame.get(b));
                }
                headers.parse(memory, length);
                lookup.add(rules, headers);
                expected[i] = walk.firstMatch(headers);
                bytes[i] = Arrays.copyOf(frame.array(), length);
            }
            lookup.find(rules);
            for (int i = 0; i < together; i++) {
                if (lookup.match(i) != expected[i]) {
                    final String story = "seed " + seed + ", frame " + (done + i) + ": "
                            + HexFormat.of().formatHex(bytes[i]);
                    assertEquals(name(rules, expected[i]), name(rules, lookup.match(i)), story);
                }
                matched += expected[i] >= 0 && expected[i] < rules.size() ? 1 : 0;
            }
            done += together;
        }
        return matched;
    }

    private static String name(final RuleSet rules, final int match) {
        return match == RuleSet.UNPARSABLE ? "unparsable" : match + ": " + rules.text(match);
    }

    @ParameterizedTest
    @EnumSource
    void shouldFindTheFirstMatchForAMillionFramesOfEachStyle(final Style style) {
        int left = MILLION;
        int matched = 0;
        for (long seed = 1; left > 0; seed++) {
            final int count = new int[] {3, 17, 40, 100, 300, 1000}[(int) (seed % 6)];
            final int frames = (int) Math.min(left, Math.min(50_000, MOST_COMPARED / count));
            final boolean ipv6 = seed % 3 == 0;
            final String text = new SyntheticRules(seed, style, ipv6, count).text(count);
            // Half of them in no order, so that wide rules stand before narrow ones.
            final RuleSet rules = parse((seed % 2 == 0 ? text : lines(List.of(text), seed)) + "default deny");
            matched += compare(rules, seed, frames);
            left -= frames;
        }
        assertTrue(matched > MILLION / 3, "the generator hits too little: " + matched);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void shouldFindTheFirstMatchAmongRulesOfAllKinds(final long seed) {
        final int count = 8 << seed % 4 * 2;
        final List<String> parts = new ArrayList<>();
        parts.add(new SyntheticRules(seed, Style.ACCESS, false, count).text(count));
        parts.add(new SyntheticRules(seed + 1, Style.FIREWALL, true, count).text(count));
        final Random random = new Random(seed);
        for (int i = 0; i < count / 4; i++) {
            final int number = new int[] {1, 6, 17, 47, 58, 255, 0}[random.nextInt(7)];
            final String side = random.nextBoolean() ? "any" : random.nextBoolean() ? "10.0.0.0/8" : "2001:db8::/32";
            parts.add("allow proto " + number + " from " + side + " to any");
            parts.add("deny udp from any port " + random.nextInt(9) + "," + random.nextInt(99) + "-9999,40000 to any");
        }
        parts.addAll(List.of("deny arp", "allow ether type 0x88cc"));
        if (seed % 4 == 0) {
            parts.addAll(List.of("deny ether type 0x0800", "deny ether type 0x86dd", "allow any from any to any"));
        }
        assertTrue(compare(parse(lines(parts, seed)), seed, 50_000) > 10_000);
    }

    @Test
    void shouldFindTheFirstMatchAmongTenThousandRules() {
        for (final Style style : List.of(Style.ACCESS, Style.FIREWALL)) {
            final String text = new SyntheticRules(1, style, style == Style.FIREWALL, 10_000).text(10_000);
            compare(parse(text), 1, 10_000);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "default deny",
                "deny arp",
                "allow tcp from 10.0.0.0/8 port 1-2,4 to any port 5",
                "deny ip6 from any to any"
            })
    void shouldFindTheFirstMatchOfNoneOrOneRule(final String text) {
        compare(parse(text), 1, 50_000);
    }

    @Test
    void shouldCompileTenThousandRulesOfAnyStyleInTimeAndBoundedMemory() {
        for (final Style style : Style.values()) {
            final String text = new SyntheticRules(3, style, false, 10_000).text(10_000);
            assertTimeout(Duration.ofSeconds(20), () -> assertBounded(parse(text)), style::name);
        }
    }

    /** No cut tells these apart without copying: every port range holds the middle, in both fields. */
    @Test
    void shouldCompileHostileRulesInTimeAndBoundedMemory() {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < 5000; i++) {
            text.append("deny tcp from any port %d-%d to any port %d-%d\n"
                    .formatted(i, 65535 - (i * 7919 & 0x3FFF), i * 7907 & 0x3FFF, 65535 - i));
        }
        for (int i = 0; i < 5000; i++) {
            final String any = (i & 1) == 0 ? "from any to 10.%d.%d.0/24" : "from 10.%d.%d.0/24 to any";
            text.append("allow udp ").append(any.formatted(i >>> 8, i & 255)).append('\n');
        }
        final RuleSet rules = assertTimeout(
                Duration.ofSeconds(20), () -> parse(text.toString()), "compiles in two seconds when alone");
        assertBounded(rules);
        compare(rules, 1, 5_000);
    }

    @Test
    void shouldKeepOneOfManyRulesThatSayTheSame() {
        final String text = "deny tcp from any to any port 80\n".repeat(3000);
        final RuleSet rules = parse(text + "deny udp from any to any\n");
        assertEquals(0, compare(rules, 1, 0));
        compare(rules, 2, 5_000);
        assertBounded(rules);
    }

    private static void assertBounded(final RuleSet rules) {
        final long bytes = rules.compiledBytes();
        assertTrue(bytes < 16 << 20, () -> bytes + " bytes");
    }
}

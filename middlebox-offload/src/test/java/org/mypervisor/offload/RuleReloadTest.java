package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.offload.control.RulesReport.RuleStats;
import org.mypervisor.offload.rules.RuleFileException;

/**
 * New rules while frames pass: compiled beside the worker, which goes on with the old ones until it has the new. No frame is
 * lost, and the bystanders measure that none waits for long.
 */
@Timeout(120)
final class RuleReloadTest {
    private static final int RULES = 10_000;
    private static final int RELOADS = 12;

    /** The JVM stops all threads to collect what compiling leaves behind. */
    private static final Duration COLLECTION = Duration.ofMillis(4);

    @TempDir
    private Path folder;

    /** Rules of which each frame matches none, or one that allows it; some are the source's, which is a frame's number. */
    private static String rules(final int seed) {
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < RULES; i++) {
            final int a = i * 31 + seed;
            text.append(i % 3 == 0 ? "allow ip from 0.0." : "deny udp from 10.1.")
                    .append(a >>> 8 & 255)
                    .append('.')
                    .append(a & 255)
                    .append(" to ")
                    .append(i % 5 == 0 ? "any" : "0.0.0.0/" + (8 + i % 25))
                    .append('\n');
        }
        return text.toString();
    }

    @Test
    void shouldLoseNoFrameAndHoldUpNoneWhileTenThousandRulesAreReplacedAgainAndAgain()
            throws IOException, RuleFileException {
        final Path file = Files.writeString(folder.resolve("acl.rules"), rules(0));
        final String path = "c <-> filter(rules=" + file + ") <-> d";
        try (RunningBackend backend = RunningBackend.withPaths(folder, false, List.of("c", "d"), path);
                Bystanders traffic = new Bystanders(backend).allow(COLLECTION.multipliedBy(RELOADS))) {
            for (int i = 1; i <= RELOADS; i++) {
                Files.writeString(file, rules(i));
                backend.backend().reloadRules();
                traffic.awaitMore();
                final List<RuleStats> now =
                        backend.backend().rules().filters().get(0).rules();
                assertEquals(
                        rules(i).lines().findFirst().orElseThrow(), now.get(0).rule());
                assertTrue(now.stream().mapToLong(RuleStats::hits).sum() > 0, "frames are judged by the new rules");
            }
        }
    }
}

package org.mypervisor.offload.cost;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Predictions worked out by hand from coefficients that are made up here. */
final class CostModelTest {
    private static final PolicyCost COST = new PolicyCost(
            new PolicyCost.Cpu(100, 1000, 2, 5000, 1_000_000, 0),
            new PolicyCost.Interrupts(2600, 0.3, 1.5, 0),
            new PolicyCost.Ranges(
                    new PolicyCost.Range(1000, 4000),
                    new PolicyCost.Range(0, 0.6),
                    new PolicyCost.Range(64, 1514),
                    new PolicyCost.Range(1, 2)),
            new PolicyCost.Check(4, 0.05, 0.12));

    private static final CostModel MODEL = new CostModel(
            "2026-01-01", new CostModel.Machine(2, "a CPU", "tcg"), Map.of("filter", COST, "filter+wire", COST));

    @TempDir
    private Path folder;

    @Test
    void shouldAddUpWhatAPacketMakesTheHostDo() {
        // Half of the packets enter and leave the guest: 2,000 frames a second, beside which there is time for 2,600 -
        // 0.3 *
        // 2,000 interrupts: where both bounds are the same, it is one of them by the third root of 2.
        final Prediction prediction =
                MODEL.predict(Policy.FILTER, new Load(2000, 0.5, 100, 1)).orElseThrow();
        assertEquals(1000 / Math.cbrt(2), prediction.guestInterruptsPerThousandPackets(), 1e-9);
        // 2,000 frames a second keep the guest awake for 1 - exp(-2) of the time.
        final double ns = 100 + 0.5 * 1000 + 2 * 100 * 1 + 1 * 5000 + 1_000_000 * -Math.expm1(-2) / 2000.0;
        assertEquals(ns, prediction.cpuNsPerPacket(), 1e-9);
        assertEquals(ns * 2000 / 1e9, prediction.cpus(), 1e-12);
        assertEquals(List.of(), prediction.warnings());
    }

    @Test
    void shouldInterruptForEveryFrameOfAGuestThatHasTimeAndForFewerOfOneThatHasNot() {
        final PolicyCost.Interrupts interrupts = new PolicyCost.Interrupts(10_000, 0.5, 1.5, 3);
        final double few = interrupts.perPacket(Policy.FILTER, new Load(10, 0, 64, 1));
        final double many = interrupts.perPacket(Policy.FILTER, new Load(9_000, 0, 64, 1)) * 9_000;
        final double overload = interrupts.perPacket(Policy.FILTER, new Load(1_000_000, 0, 64, 1)) * 1_000_000;
        final double ofTwoGuests = interrupts.perPacket(Policy.FILTER, new Load(4_500, 0, 64, 2)) * 4_500;
        assertEquals(2 + 3 / 10.0, few, 1e-6);
        assertEquals(10_000 - 0.5 * 18_000 + 3, many, 1);
        assertEquals(0.02 * 10_000 + 3, overload, 1);
        assertEquals(15_000 - 0.5 * 18_000 + 2 * 3, ofTwoGuests, 100);
    }

    @Test
    void shouldLetDeniedPacketsEndAtTheFirstMiddleboxOfAChain() {
        final Load load = new Load(1000, 0.25, 100, 3);
        // Judged once, and by the two others if allowed; carried on by all three if allowed, or by one worker past all
        // of them.
        assertEquals(new Work(2.5, 0.75, 75, 1, 0.003), Work.of(Policy.FILTER_WIRE, load, 0));
        final double others = -Math.expm1(-1.5);
        assertEquals(new Work(2.5, 2.25, 450, 4.5, 0.001 * (others + 2 * others)), Work.of(Policy.FILTER, load, 0));
        assertEquals(
                new Work(2.5, 2.25, 475, 4.75, 0.001 * (-Math.expm1(-1.75) + 2 * others)),
                Work.of(Policy.NONE, load, 0));
        assertEquals(Work.of(Policy.NONE, load, 0), Work.of(Policy.TRADITIONAL, load, 0));
    }

    @Test
    void shouldLetMiddleboxesSleepThatNoPacketReaches() {
        final Load denied = new Load(5000, 1, 64, 4);
        assertEquals(0, Work.of(Policy.FILTER, denied, 0).middleboxSeconds());
        assertEquals(1 / 5000.0, Work.of(Policy.NONE, denied, 0).middleboxSeconds(), 1e-5);
        assertEquals(
                4 / 5000.0, Work.of(Policy.NONE, new Load(5000, 0, 64, 4), 0).middleboxSeconds(), 1e-5);
    }

    @Test
    void shouldWakeNobodyMoreOftenThanTheSpacingAllows() {
        final double spacing = 0.001;
        final Load slow = new Load(1, 0, 64, 1);
        final Load fast = new Load(1_000_000, 0, 64, 1);
        assertEquals(2, Work.of(Policy.FILTER, slow, spacing).wakeUps(), 0.01);
        assertEquals(1 / spacing, Work.of(Policy.FILTER, fast, spacing).wakeUps() * fast.packetsPerSecond(), 1e-6);
    }

    @Test
    void shouldWarnOfWhatWasNotMeasured() {
        final List<String> warnings = MODEL.predict(Policy.FILTER, new Load(2_000_000, 0.9, 9000, 4))
                .orElseThrow()
                .warnings();
        assertEquals(5, warnings.size(), warnings.toString());
        assertTrue(warnings.get(0).startsWith("packets per second 2000000: runs were measured from 1000 to 4000"));
        assertTrue(warnings.get(1).startsWith("denied share 0.90: "));
        assertTrue(warnings.get(4).endsWith(" CPUs are more than the 2 that were measured on"), warnings.get(4));
        assertEquals(Optional.empty(), MODEL.predict(Policy.NONE, new Load(2000, 0, 64, 1)));
    }

    @Test
    void shouldReadWhatItWrote() throws IOException {
        final Path file = Files.writeString(folder.resolve("m.json"), MODEL.toJson());
        assertEquals(MODEL, CostModel.read(file));
        assertTrue(MODEL.toJson().contains("\"ns_per_judged_frame\" : 100.0"), MODEL.toJson());
    }

    @Test
    void shouldRefuseAModelWithAHoleOrAForeignPolicy() throws IOException {
        for (final String text : new String[] {
            "",
            "[]",
            "{}",
            "{\"measured\":\"x\",\"machine\":null,\"policies\":{}}",
            MODEL.toJson().replaceFirst("\"ns_per_byte\" : 2.0,", ""),
            MODEL.toJson().replaceFirst("\"ns_per_byte\" : 2.0", "\"ns_per_byte\" : null"),
            MODEL.toJson().replace("filter+wire", "miracle")
        }) {
            final Path file = Files.writeString(folder.resolve("m.json"), text);
            assertThrows(JsonProcessingException.class, () -> CostModel.read(file), text);
        }
    }
}

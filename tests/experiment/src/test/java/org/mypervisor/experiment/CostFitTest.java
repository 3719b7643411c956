package org.mypervisor.experiment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.mypervisor.offload.cost.Policy;
import org.mypervisor.offload.cost.PolicyCost;

final class CostFitTest {
    private static CostFit fit(final Experiment experiment) {
        return CostFit.of(experiment, new Results(experiment.runs()));
    }

    private static double[] all(final Map<Policy, double[]> errors) {
        return errors.values().stream().flatMapToDouble(Arrays::stream).toArray();
    }

    private static void assertNear(final PolicyCost.Cpu wanted, final PolicyCost.Cpu found, final double share) {
        assertEquals(wanted.nsPerJudgedFrame(), found.nsPerJudgedFrame(), wanted.nsPerJudgedFrame() * share);
        assertEquals(wanted.nsPerAllowedFrame(), found.nsPerAllowedFrame(), wanted.nsPerAllowedFrame() * share);
        assertEquals(wanted.nsPerByte(), found.nsPerByte(), wanted.nsPerByte() * share);
        assertEquals(wanted.nsPerWakeUp(), found.nsPerWakeUp(), wanted.nsPerWakeUp() * share);
        assertEquals(
                wanted.nsPerMiddleboxSecond(), found.nsPerMiddleboxSecond(), wanted.nsPerMiddleboxSecond() * share);
        assertEquals(wanted.wakeUpSpacingS(), found.wakeUpSpacingS(), wanted.wakeUpSpacingS() * share);
    }

    private static void assertNear(final PolicyCost.Interrupts wanted, final PolicyCost.Interrupts found) {
        assertEquals(wanted.mostPerCpuSecond(), found.mostPerCpuSecond(), wanted.mostPerCpuSecond() * 1e-4);
        assertEquals(wanted.fewerPerFrame(), found.fewerPerFrame(), wanted.fewerPerFrame() * 1e-4);
        assertEquals(wanted.cpus(), found.cpus(), wanted.cpus() * 1e-4);
    }

    /** So the grid suffices: no two of its combinations could be explained by other coefficients. */
    @Test
    void shouldRecoverAllCoefficientsWithoutNoise() {
        final CostFit fit = fit(Synthetic.experiment(0));
        assertEquals(List.of(), fit.notes());
        for (final Policy policy : Policy.values()) {
            final PolicyCost cost = fit.model().policies().get(policy.toString());
            assertNear(policy == Policy.FILTER_WIRE ? Synthetic.WIRE_CPU : Synthetic.CPU, cost.cpu(), 1e-6);
            if (policy != Policy.FILTER_WIRE) {
                assertNear(Synthetic.INTERRUPTS, cost.interrupts());
            }
        }
        assertTrue(Arrays.stream(all(fit.cpuErrors())).allMatch(error -> error < 1e-6));
    }

    @Test
    void shouldPredictWhatItHasNotSeenInSpiteOfNoise() {
        final CostFit fit = fit(Synthetic.experiment(0.05));
        final double[] errors = all(fit.cpuErrors());
        assertTrue(errors.length >= 12, "held out: " + errors.length);
        assertTrue(Numbers.max(errors).orElseThrow() < 0.15, Arrays.toString(errors));
        final double[] interruptErrors = all(fit.interruptErrors());
        assertTrue(Numbers.max(interruptErrors).orElseThrow() < 0.15, Arrays.toString(interruptErrors));
        assertTrue(fit.model().policies().get("filter").check().medianError() < 0.08);
    }

    @Test
    void shouldHoldOutByRuleAndKeepTheEndsOfEveryRange() {
        final List<Sample> samples =
                Sample.of(new Results(Synthetic.experiment(0).runs()), new java.util.ArrayList<>()).stream()
                        .filter(sample -> sample.policy() == Policy.FILTER)
                        .toList();
        final List<Sample> heldOut = Sample.heldOut(samples);
        assertEquals(14, samples.size());
        assertTrue(heldOut.size() >= 3 && heldOut.size() <= 5, "held out: " + heldOut.size());
        for (final Sample sample : heldOut) {
            final Point point = sample.point();
            assertFalse(
                    point.chain() == 4 || point.frameBytes() == 1514 || point.deniedShare() == 0.9, point.describe());
            assertFalse(point.rate() == 1000 || point.rate() == 8000 || point.deniedShare() == 0, point.describe());
        }
        final PolicyCost.Ranges ranges =
                fit(Synthetic.experiment(0)).model().policies().get("filter").ranges();
        assertEquals(new PolicyCost.Range(1000, 8000), ranges.packetsPerSecond());
        assertEquals(new PolicyCost.Range(1, 4), ranges.chain());
    }

    @Test
    void shouldLeaveOutWhatWasSentAtAnotherRateThanAskedFor() {
        final List<String> notes = new java.util.ArrayList<>();
        final List<Sample> samples = Sample.of(
                new Results(List.of(ResultsTest.paced(1, 3400.0, 3390), ResultsTest.paced(1, 6800.0, 4200))), notes);
        assertEquals(
                List.of(3400.0),
                samples.stream().map(sample -> sample.point().rate()).toList());
        assertTrue(notes.get(0).startsWith("left out, as its sender was held up and sent 4,200 packets/s: filter, "));
    }

    @Test
    void shouldNotLearnFromOneRunWhereOthersWereRepeated() {
        final List<String> notes = new java.util.ArrayList<>();
        final List<Sample> samples = Sample.of(
                new Results(List.of(
                        ResultsTest.paced(1, 3400.0, 3400),
                        ResultsTest.paced(2, 3400.0, 3390),
                        ResultsTest.paced(1, 6800.0, 6800))),
                notes);
        assertEquals(
                List.of(3400.0),
                samples.stream().map(sample -> sample.point().rate()).toList());
        assertTrue(notes.get(0).startsWith("1 combinations of filter are not used"), notes.toString());
    }

    @Test
    void shouldSayWhatItCannotUse() {
        final Experiment all = Synthetic.experiment(0);
        final List<Run> some = all.runs().stream()
                .filter(run -> run.arrangement().equals("filter") || run.frameBytes() > 500)
                .toList();
        final CostFit fit = CostFit.of(all, new Results(some));
        assertEquals(List.of("filter"), List.copyOf(fit.model().policies().keySet()));
        assertTrue(
                fit.notes().get(0).startsWith("no model of traditional: it takes 4 "),
                fit.notes().toString());
    }
}

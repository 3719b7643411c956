package org.mypervisor.experiment;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.mypervisor.offload.cost.CostModel;
import org.mypervisor.offload.cost.Policy;
import org.mypervisor.offload.cost.PolicyCost;
import org.mypervisor.offload.cost.Prediction;
import org.mypervisor.offload.cost.Work;

/**
 * Fits the coefficients of the cost model: by least squares of errors in multiples of what a measurement may be off by.
 *
 * @param compared predictions beside what was measured
 * @param notes sentences about what could not be used
 */
record CostFit(CostModel model, List<Compared> compared, List<String> notes) {
    /** With fewer, every coefficient could be anything. */
    private static final int FEWEST_SAMPLES = 4;

    /** Share by which a run differs from the next one of its kind. */
    private static final double SCATTER = 0.05;

    /** As far as the medians of three rounds scatter that have few frames: what else a quiet machine does in some turns. */
    private static final double BACKGROUND_CPUS = 0.01;

    /** Weights by measured values would favour those that are too small by chance; by predicted ones they do not. */
    private static final int PASSES = 4;

    /** Spacings of wake-ups that are tried, besides none: from 3 us to 3 ms. */
    private static final double SHORTEST_SPACING_S = 1e-5 / Math.sqrt(10);

    private static final int SPACINGS = 30;
    private static final double SPACINGS_A_DECADE = 10;

    /** Fewer interrupts in 1,000 packets have no relative error worth telling. */
    private static final double FEWEST_INTERRUPTS = 1e-3;

    /** @param heldOut whether the fit did not see it */
    record Compared(Sample sample, Prediction prediction, boolean heldOut) {
        double cpuError() {
            final double measured = sample.cpuNsPerPacket().orElseThrow();
            return Math.abs(prediction.cpuNsPerPacket() - measured) / measured;
        }

        OptionalDouble interruptError() {
            final double measured = sample.interruptsPerPacket().orElse(0);
            return measured < FEWEST_INTERRUPTS
                    ? OptionalDouble.empty()
                    : OptionalDouble.of(
                            Math.abs(prediction.guestInterruptsPerThousandPackets() / 1000 - measured) / measured);
        }
    }

    static CostFit of(final Experiment experiment, final Results results) {
        final List<String> notes = new ArrayList<>();
        final List<Sample> samples = Sample.of(results, notes);
        final CostModel.Machine machine = new CostModel.Machine(
                experiment.machine().cpus() == null ? 0 : experiment.machine().cpus(),
                experiment.machine().cpuModel(),
                experiment.machine().accelerator());
        final Map<String, PolicyCost> policies = new LinkedHashMap<>();
        final List<Compared> compared = new ArrayList<>();
        for (final Policy policy : Policy.values()) {
            final List<Sample> all =
                    samples.stream().filter(sample -> sample.policy() == policy).toList();
            final List<Sample> heldOut = Sample.heldOut(all);
            final List<Sample> seen =
                    all.stream().filter(sample -> !heldOut.contains(sample)).toList();
            if (seen.size() < FEWEST_SAMPLES) {
                notes.add(
                        "no model of %s: it takes %d combinations of paced UDP runs besides those held out, there are %d"
                                .formatted(policy, FEWEST_SAMPLES, seen.size()));
                continue;
            }
            if (seen.stream().allMatch(sample -> sample.interruptsPerPacket().isEmpty())) {
                notes.add("no model of %s: its guest interrupts were not measured".formatted(policy));
                continue;
            }
            final PolicyCost.Interrupts interrupts = InterruptFit.of(policy, seen);
            final PolicyCost.Cpu cpu = cpu(policy, seen);
            final PolicyCost unchecked =
                    new PolicyCost(cpu, interrupts, ranges(seen), new PolicyCost.Check(0, null, null));
            final CostModel alone = new CostModel(experiment.date(), machine, Map.of(policy.toString(), unchecked));
            final List<Compared> ofPolicy = all.stream()
                    .map(sample -> new Compared(
                            sample, alone.predict(policy, sample.load()).orElseThrow(), heldOut.contains(sample)))
                    .toList();
            compared.addAll(ofPolicy);
            policies.put(policy.toString(), new PolicyCost(cpu, interrupts, unchecked.ranges(), check(ofPolicy)));
        }
        return new CostFit(new CostModel(experiment.date(), machine, policies), compared, notes);
    }

    /** For every spacing of wake-ups the costs that fit best; then the best of these. */
    private static PolicyCost.Cpu cpu(final Policy policy, final List<Sample> samples) {
        PolicyCost.Cpu best = null;
        double least = Double.MAX_VALUE;
        for (int step = -1; step <= SPACINGS; step++) {
            final double spacingS = step < 0 ? 0 : SHORTEST_SPACING_S * Math.pow(10, step / SPACINGS_A_DECADE);
            final PolicyCost.Cpu cpu = cpu(policy, samples, spacingS);
            final double[] predicted = predicted(policy, samples, cpu);
            double sum = 0;
            for (int i = 0; i < predicted.length; i++) {
                final double measured = samples.get(i).cpuNsPerPacket().orElseThrow();
                sum += Math.pow((predicted[i] - measured) * weight(samples.get(i), measured), 2);
            }
            if (sum < least) {
                least = sum;
                best = cpu;
            }
        }
        return best;
    }

    private static PolicyCost.Cpu cpu(final Policy policy, final List<Sample> samples, final double spacingS) {
        double[] expected = samples.stream()
                .mapToDouble(sample -> sample.cpuNsPerPacket().orElseThrow())
                .toArray();
        PolicyCost.Cpu cpu = null;
        for (int pass = 0; pass < PASSES; pass++) {
            final double[][] rows = new double[expected.length][];
            final double[] values = new double[expected.length];
            for (int i = 0; i < expected.length; i++) {
                final double weight = weight(samples.get(i), expected[i]);
                rows[i] = Arrays.stream(
                                Work.of(policy, samples.get(i).load(), spacingS).terms())
                        .map(term -> term * weight)
                        .toArray();
                values[i] = samples.get(i).cpuNsPerPacket().orElseThrow() * weight;
            }
            cpu = PolicyCost.Cpu.of(NonNegativeLeastSquares.solve(rows, values), spacingS);
            expected = predicted(policy, samples, cpu);
        }
        return cpu;
    }

    private static double[] predicted(final Policy policy, final List<Sample> samples, final PolicyCost.Cpu cpu) {
        return samples.stream()
                .mapToDouble(sample -> cpu.nsPerPacket(Work.of(policy, sample.load(), cpu.wakeUpSpacingS())))
                .toArray();
    }

    /** What a measured value is worth: the inverse of how far off it may be. */
    private static double weight(final Sample sample, final double nsPerPacket) {
        return 1
                / Math.hypot(
                        SCATTER * nsPerPacket,
                        BACKGROUND_CPUS * 1e9 / sample.load().packetsPerSecond());
    }

    private static PolicyCost.Ranges ranges(final List<Sample> samples) {
        return new PolicyCost.Ranges(
                range(samples, sample -> sample.point().rate()),
                range(samples, sample -> sample.load().deniedShare()),
                range(samples, sample -> sample.load().frameBytes()),
                range(samples, sample -> sample.load().chain()));
    }

    private static PolicyCost.Range range(final List<Sample> samples, final ToDoubleFunction<Sample> value) {
        return new PolicyCost.Range(
                samples.stream().mapToDouble(value).min().orElseThrow(),
                samples.stream().mapToDouble(value).max().orElseThrow());
    }

    private static PolicyCost.Check check(final List<Compared> compared) {
        final double[] errors = compared.stream()
                .filter(Compared::heldOut)
                .mapToDouble(Compared::cpuError)
                .toArray();
        if (errors.length == 0) {
            return new PolicyCost.Check(0, null, null);
        }
        return new PolicyCost.Check(
                errors.length,
                Numbers.median(Arrays.stream(errors)).orElseThrow(),
                Numbers.max(errors).orElseThrow());
    }

    /** Of the CPU time, for combinations that the fit did not see. */
    Map<Policy, double[]> cpuErrors() {
        return errors(compared -> OptionalDouble.of(compared.cpuError()));
    }

    /** Of the guest interrupts, for combinations that the fit did not see. */
    Map<Policy, double[]> interruptErrors() {
        return errors(Compared::interruptError);
    }

    private Map<Policy, double[]> errors(final Function<Compared, OptionalDouble> error) {
        final Map<Policy, double[]> errors = new EnumMap<>(Policy.class);
        for (final Policy policy : Policy.values()) {
            errors.put(
                    policy,
                    compared.stream()
                            .filter(each -> each.heldOut() && each.sample().policy() == policy)
                            .map(error)
                            .filter(OptionalDouble::isPresent)
                            .mapToDouble(OptionalDouble::getAsDouble)
                            .toArray());
        }
        return errors;
    }
}

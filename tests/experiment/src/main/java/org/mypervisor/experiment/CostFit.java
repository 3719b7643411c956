package org.mypervisor.experiment;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.ToDoubleFunction;
import org.mypervisor.offload.cost.CostModel;
import org.mypervisor.offload.cost.Policy;
import org.mypervisor.offload.cost.PolicyCost;
import org.mypervisor.offload.cost.Prediction;
import org.mypervisor.offload.cost.Work;

/**
 * Fits the coefficients of the cost model. Every row is divided by its measured value, so that it is the relative error
 * that becomes least.
 *
 * @param compared predictions beside what was measured
 * @param notes sentences about what could not be used
 */
record CostFit(CostModel model, List<Compared> compared, List<String> notes) {
    /** With fewer, every coefficient could be anything. */
    private static final int FEWEST_SAMPLES = 4;

    /** Of the median. What is smaller is mostly noise of a difference, and would otherwise weigh most. */
    private static final double LEAST_WEIGHED = 0.1;

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
            final PolicyCost.Interrupts interrupts = interrupts(policy, seen);
            final PolicyCost.Cpu cpu = cpu(policy, seen, interrupts);
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

    /** Frames for each interrupt are linear in the rate, which is how interrupts coalesce. */
    private static PolicyCost.Interrupts interrupts(final Policy policy, final List<Sample> samples) {
        final List<double[]> rows = new ArrayList<>();
        final List<Double> idle = new ArrayList<>();
        for (final Sample sample : samples) {
            final double frames = policy.guestFrames(sample.load());
            final double interrupts = sample.interruptsPerPacket().orElse(Double.NaN);
            if (frames == 0 && interrupts >= 0) {
                idle.add(interrupts
                        * sample.load().packetsPerSecond()
                        / sample.load().chain());
            } else if (interrupts > 0) {
                final double batch = frames / interrupts;
                rows.add(new double[] {1 / batch, PolicyCost.Interrupts.rate(policy, sample.load()) / batch});
            }
        }
        final double idlePerS =
                Numbers.median(idle.stream().mapToDouble(Double::doubleValue)).orElse(0);
        if (rows.isEmpty()) {
            return new PolicyCost.Interrupts(0, 0, idlePerS);
        }
        final double[] solution = NonNegativeLeastSquares.solve(rows.toArray(double[][]::new), ones(rows.size()));
        return new PolicyCost.Interrupts(solution[0], solution[1], idlePerS);
    }

    private static PolicyCost.Cpu cpu(
            final Policy policy, final List<Sample> samples, final PolicyCost.Interrupts interrupts) {
        final double[] measured = samples.stream()
                .mapToDouble(sample -> sample.cpuNsPerPacket().orElseThrow())
                .toArray();
        final double least =
                LEAST_WEIGHED * Numbers.median(Arrays.stream(measured)).orElseThrow();
        final double[][] rows = new double[measured.length][];
        final double[] values = new double[measured.length];
        for (int i = 0; i < measured.length; i++) {
            final double weight = 1 / Math.max(measured[i], least);
            rows[i] = Arrays.stream(
                            Work.of(policy, samples.get(i).load(), interrupts).terms())
                    .map(term -> term * weight)
                    .toArray();
            values[i] = measured[i] * weight;
        }
        return PolicyCost.Cpu.of(NonNegativeLeastSquares.solve(rows, values));
    }

    private static double[] ones(final int length) {
        final double[] ones = new double[length];
        Arrays.fill(ones, 1);
        return ones;
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
    double[] cpuErrors() {
        return compared.stream()
                .filter(Compared::heldOut)
                .mapToDouble(Compared::cpuError)
                .toArray();
    }

    /** Of the guest interrupts, for combinations that the fit did not see. */
    double[] interruptErrors() {
        return compared.stream()
                .filter(Compared::heldOut)
                .map(Compared::interruptError)
                .filter(OptionalDouble::isPresent)
                .mapToDouble(OptionalDouble::getAsDouble)
                .toArray();
    }
}

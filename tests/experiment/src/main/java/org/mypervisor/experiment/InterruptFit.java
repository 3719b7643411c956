package org.mypervisor.experiment;

import java.util.List;
import org.hipparchus.analysis.MultivariateFunction;
import org.hipparchus.optim.InitialGuess;
import org.hipparchus.optim.MaxEval;
import org.hipparchus.optim.PointValuePair;
import org.hipparchus.optim.SimpleValueChecker;
import org.hipparchus.optim.nonlinear.scalar.GoalType;
import org.hipparchus.optim.nonlinear.scalar.ObjectiveFunction;
import org.hipparchus.optim.nonlinear.scalar.noderiv.NelderMeadSimplex;
import org.hipparchus.optim.nonlinear.scalar.noderiv.SimplexOptimizer;
import org.mypervisor.offload.cost.Policy;
import org.mypervisor.offload.cost.PolicyCost;

/**
 * Fits the model's guest interrupts of one policy: by least squares of the logarithms, so that half and double are equally
 * wrong. The search goes over logarithms too, which keeps every coefficient above 0, and several guests have one CPU at least.
 */
final class InterruptFit {
    /** Of an emulated guest, roughly; from other places the search comes to the same coefficients. */
    private static final double MOST_PER_CPU_SECOND = 12_000;

    private static final double FEWER_PER_FRAME = 0.3;
    private static final double MORE_CPUS = 0.6;

    /** Edges of the search's first simplex. */
    private static final double STEP = 0.3;

    /** A search that stops too early goes on from where it is. */
    private static final int SEARCHES = 3;

    private static final int MOST_EVALUATIONS = 20_000;
    private static final double CONVERGED = 1e-14;

    private InterruptFit() {}

    static PolicyCost.Interrupts of(final Policy policy, final List<Sample> samples) {
        final double idlePerS = Numbers.median(samples.stream()
                        .filter(sample -> policy.guestFrames(sample.load()) == 0)
                        .mapToDouble(sample -> sample.interruptsPerPacket().orElse(0)
                                * sample.load().packetsPerSecond()
                                / sample.load().chain()))
                .orElse(0);
        final List<Sample> interrupted = samples.stream()
                .filter(sample -> policy.guestFrames(sample.load()) > 0
                        && sample.interruptsPerPacket().orElse(0) > 0)
                .toList();
        if (interrupted.isEmpty()) {
            return new PolicyCost.Interrupts(0, 0, 1, idlePerS);
        }
        double[] best = {Math.log(MOST_PER_CPU_SECOND), Math.log(FEWER_PER_FRAME), Math.log(MORE_CPUS)};
        for (int i = 0; i < SEARCHES; i++) {
            best = search(at -> distance(policy, interrupted, interrupts(at, idlePerS)), best);
        }
        return interrupts(best, idlePerS);
    }

    private static double[] search(final MultivariateFunction distance, final double[] from) {
        final PointValuePair found = new SimplexOptimizer(new SimpleValueChecker(CONVERGED, CONVERGED))
                .optimize(
                        new MaxEval(MOST_EVALUATIONS),
                        new ObjectiveFunction(distance),
                        GoalType.MINIMIZE,
                        new InitialGuess(from),
                        new NelderMeadSimplex(from.length, STEP));
        return found.getPoint();
    }

    private static PolicyCost.Interrupts interrupts(final double[] logarithms, final double idlePerS) {
        return new PolicyCost.Interrupts(
                Math.exp(logarithms[0]), Math.exp(logarithms[1]), 1 + Math.exp(logarithms[2]), idlePerS);
    }

    private static double distance(
            final Policy policy, final List<Sample> samples, final PolicyCost.Interrupts interrupts) {
        return samples.stream()
                .mapToDouble(sample -> Math.pow(
                        Math.log(interrupts.perPacket(policy, sample.load())
                                / sample.interruptsPerPacket().orElseThrow()),
                        2))
                .sum();
    }
}

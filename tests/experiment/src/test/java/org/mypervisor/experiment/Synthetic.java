package org.mypervisor.experiment;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.mypervisor.offload.cost.CostModel;
import org.mypervisor.offload.cost.Load;
import org.mypervisor.offload.cost.Policy;
import org.mypervisor.offload.cost.PolicyCost;
import org.mypervisor.offload.cost.Prediction;

/** Runs of a machine whose costs are known, as everything was made up; with noise if wanted. */
final class Synthetic {
    static final int ROUNDS = 3;
    private static final double SECONDS = 3;
    private static final double BASELINE_NS = 20_000;

    /** Of an emulated middlebox guest, roughly. */
    static final PolicyCost.Cpu CPU = new PolicyCost.Cpu(30_000, 25_000, 3, 80_000, 2e7, 1e-4);

    static final PolicyCost.Interrupts INTERRUPTS = new PolicyCost.Interrupts(12_000, 0.3, 1.6, 0);
    static final PolicyCost.Cpu WIRE_CPU = new PolicyCost.Cpu(2_000, 3_000, 0.5, 8_000, 1e7, 1e-4);

    private final Random random;
    private final double noise;
    private final List<Run> runs = new ArrayList<>();

    Synthetic(final long seed, final double noise) {
        random = new Random(seed);
        this.noise = noise;
    }

    /** The smallest grid from which all coefficients can be told, and some combinations besides that can be held out. */
    static Experiment experiment(final double noise) {
        final Synthetic synthetic = new Synthetic(1, noise);
        for (int round = 1; round <= ROUNDS; round++) {
            for (final Policy policy : Policy.values()) {
                for (final double rate : new double[] {1000, 2000, 4000, 8000}) {
                    synthetic.udp(policy, new Load(rate, 0.3, 64, 1), round);
                }
                for (final double bytes : new double[] {256, 512, 1024, 1514}) {
                    synthetic.udp(policy, new Load(2000, 0.3, bytes, 1), round);
                }
                for (final double denied : new double[] {0, 0.6, 0.9}) {
                    synthetic.udp(policy, new Load(2000, denied, 64, 1), round);
                }
                for (int chain = 2; chain <= 4; chain++) {
                    synthetic.udp(policy, new Load(2000, 0.3, 64, chain), round);
                }
            }
        }
        return new Experiment(
                "2026-01-01T00:00:00Z",
                "full",
                800.0,
                new Experiment.Machine(2, "a CPU", "6.1", "tcg", "7.2", "17"),
                Map.of("experiment", "experiment.sh"),
                synthetic.runs);
    }

    static CostModel truth(final Policy policy) {
        final boolean wire = policy == Policy.FILTER_WIRE;
        final PolicyCost.Range any = new PolicyCost.Range(0, Double.MAX_VALUE);
        return new CostModel(
                "",
                new CostModel.Machine(0, "", ""),
                Map.of(
                        policy.toString(),
                        new PolicyCost(
                                wire ? WIRE_CPU : CPU,
                                wire ? PolicyCost.Interrupts.NEVER : INTERRUPTS,
                                new PolicyCost.Ranges(any, any, any, any),
                                new PolicyCost.Check(0, null, null))));
    }

    private double noisy(final double value) {
        return value * (1 + noise * random.nextGaussian());
    }

    private void udp(final Policy policy, final Load load, final int round) {
        final Prediction truth = truth(policy).predict(policy, load).orElseThrow();
        final double sent = load.packetsPerSecond() * SECONDS;
        final double net = noisy(truth.cpuNsPerPacket()) * sent / 1e9;
        final double baseline = BASELINE_NS * sent / 1e9;
        runs.add(new Run(
                policy.toString(),
                "udp",
                load.chain(),
                true,
                load.packetsPerSecond(),
                load.frameBytes(),
                true,
                load.deniedShare(),
                round,
                1,
                SECONDS,
                null,
                sent,
                sent * (1 - load.deniedShare()),
                0.0,
                sent * load.frameBytes(),
                null,
                null,
                null,
                null,
                noisy(truth.guestInterruptsPerThousandPackets()) * sent / 1000,
                null,
                new Run.Cpu(net + baseline, baseline, net, net / 2, net / 4, 0.0, 0.0, baseline)));
    }
}

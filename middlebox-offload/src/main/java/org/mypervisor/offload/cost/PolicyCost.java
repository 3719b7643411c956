package org.mypervisor.offload.cost;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * What was learnt of one policy from measured runs.
 *
 * @param ranges what those runs covered; beyond them a prediction is a guess
 * @param check how far off predictions were for runs that had no part in the fit
 */
public record PolicyCost(Cpu cpu, Interrupts interrupts, Ranges ranges, Check check) {
    public PolicyCost {
        Objects.requireNonNull(cpu, "cpu");
        Objects.requireNonNull(interrupts, "interrupts");
        Objects.requireNonNull(ranges, "ranges");
        Objects.requireNonNull(check, "check");
    }

    /**
     * CPU time of the whole host, net of what the end points need by themselves; none is negative.
     *
     * @param wakeUpSpacingS seconds between two wake-ups when frames come as fast as can be; with 0 each frame needs one
     */
    public record Cpu(
            double nsPerJudgedFrame,
            double nsPerAllowedFrame,
            double nsPerByte,
            double nsPerWakeUp,
            double nsPerMiddleboxSecond,
            double wakeUpSpacingS) {
        /** @param coefficients in the order of {@link Work#terms} */
        public static Cpu of(final double[] coefficients, final double wakeUpSpacingS) {
            return new Cpu(
                    coefficients[0],
                    coefficients[1],
                    coefficients[2],
                    coefficients[3],
                    coefficients[4],
                    wakeUpSpacingS);
        }

        /** For one packet that makes host and guests do so much. */
        public double nsPerPacket(final Work work) {
            return nsPerJudgedFrame * work.judged()
                    + nsPerAllowedFrame * work.allowed()
                    + nsPerByte * work.bytes()
                    + nsPerWakeUp * work.wakeUps()
                    + nsPerMiddleboxSecond * work.middleboxSeconds();
        }
    }

    /**
     * A guest that has time takes an interrupt for every frame that enters or leaves it. One that is still at work when the
     * next frame comes takes both at once, so there are no more interrupts than its CPU has time for beside its frames.
     *
     * @param mostPerCpuSecond interrupts that a CPU has time for in a second if that is all it does
     * @param fewerPerFrame for how many of these each frame takes the time
     * @param cpus that several guests have together; one guest has one
     * @param idlePerS of one middlebox guest, where no frames reach it
     */
    public record Interrupts(double mostPerCpuSecond, double fewerPerFrame, double cpus, double idlePerS) {
        /** A guest that is never interrupted. */
        public static final Interrupts NEVER = new Interrupts(0, 0, 1, 0);

        /**
         * How sharply the one bound takes over from the other. Left free in one run, it came to 2.4, 5.7 and 4.3 by policy, which
         * foretold no better than 3 or 4 for all.
         */
        private static final double SHARPNESS = 3;

        /** Of what there is time for: however many frames there are, some interrupts remain. */
        private static final double LEAST_SHARE = 0.02;

        /** @return for each packet of the load */
        public double perPacket(final Policy policy, final Load load) {
            final double frames = policy.guestFrames(load) * load.packetsPerSecond();
            final double caused = frames == 0 || mostPerCpuSecond == 0
                    ? 0
                    : Math.pow(
                            Math.pow(frames, -SHARPNESS) + Math.pow(timeFor(frames, load.chain()), -SHARPNESS),
                            -1 / SHARPNESS);
            return (caused + idlePerS * load.chain()) / load.packetsPerSecond();
        }

        private double timeFor(final double frames, final int chain) {
            final double most = mostPerCpuSecond * (chain == 1 ? 1 : Math.min(chain, cpus));
            return Math.max(most - fewerPerFrame * frames, LEAST_SHARE * most);
        }
    }

    /** From the smallest to the largest value that was measured. */
    public record Range(double min, double max) {
        /** Measured values are never exactly those that were asked for. */
        private static final double TOLERANCE = 0.02;

        boolean contains(final double value) {
            return value >= min * (1 - TOLERANCE) && value <= max * (1 + TOLERANCE);
        }
    }

    public record Ranges(Range packetsPerSecond, Range deniedShare, Range frameBytes, Range chain) {
        public Ranges {
            Objects.requireNonNull(packetsPerSecond, "packets_per_second");
            Objects.requireNonNull(deniedShare, "denied_share");
            Objects.requireNonNull(frameBytes, "frame_bytes");
            Objects.requireNonNull(chain, "chain");
        }

        /** @return a sentence for every value that no run was near */
        List<String> exceededBy(final Load load) {
            final List<String> sentences = new ArrayList<>();
            compare("packets per second", load.packetsPerSecond(), packetsPerSecond, sentences);
            compare("denied share", load.deniedShare(), deniedShare, sentences);
            compare("frame bytes", load.frameBytes(), frameBytes, sentences);
            compare("chain", load.chain(), chain, sentences);
            return sentences;
        }

        private static void compare(
                final String name, final double value, final Range range, final List<String> sentences) {
            if (!range.contains(value)) {
                sentences.add(String.format(
                        Locale.ROOT,
                        "%s %s: runs were measured from %s to %s only, so this is a guess",
                        name,
                        plain(value),
                        plain(range.min()),
                        plain(range.max())));
            }
        }

        private static String plain(final double value) {
            return value == Math.rint(value)
                    ? String.format(Locale.ROOT, "%.0f", value)
                    : String.format(Locale.ROOT, "%.2f", value);
        }
    }

    /**
     * Relative errors of the CPU time.
     *
     * @param combinations of parameters that had no part in the fit
     * @param medianError null when there were none
     * @param worstError null when there were none
     */
    public record Check(int combinations, Double medianError, Double worstError) {}
}

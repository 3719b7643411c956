package org.mypervisor.experiment;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.ToDoubleFunction;
import org.mypervisor.offload.cost.Load;
import org.mypervisor.offload.cost.Policy;

/**
 * What the cost model learns from or is judged by: one combination of parameters under one policy, medians over rounds.
 *
 * @param cpuNsPerPacket net of the end points
 * @param interruptsPerPacket of the middlebox guests, by offered packets
 */
record Sample(
        Policy policy, Point point, Load load, OptionalDouble cpuNsPerPacket, OptionalDouble interruptsPerPacket) {
    /** A run that lost more says nothing of what all of its packets cost. */
    private static final double LOSS = 0.02;

    /** A sender that was held up more than this sent at another rate, on a machine that was busy with something else. */
    private static final double HELD_UP = 0.05;

    private static final List<ToDoubleFunction<Point>> AXES =
            List.of(Point::chain, Point::deniedShare, Point::frameBytes, Point::rate);

    /**
     * All paced UDP that arrived, of what was measured more than once if anything was; with offloads on, or off if there is more
     * of that.
     */
    static List<Sample> of(final Results results, final List<String> notes) {
        final boolean offloads = results.points(Sample::isUsable).stream()
                        .mapToInt(point -> point.offloads() ? 1 : -1)
                        .sum()
                >= 0;
        final List<Sample> samples = new ArrayList<>();
        for (final Policy policy : Policy.values()) {
            final List<Point> points =
                    results.points(policy.toString(), each -> isUsable(each) && each.offloads() == offloads);
            final List<Point> repeated = points.stream()
                    .filter(point -> results.rounds(policy.toString(), point) > 1)
                    .toList();
            if (!repeated.isEmpty() && repeated.size() < points.size()) {
                notes.add(
                        "%d combinations of %s are not used: they were measured once, when nothing tells a disturbance"
                                .formatted(points.size() - repeated.size(), policy));
            }
            for (final Point point : repeated.isEmpty() ? points : repeated) {
                final Sample sample = sample(results, policy, point);
                if (results.median(policy.toString(), Optional.of(point), Run::lossShare)
                                .orElse(0)
                        > LOSS) {
                    notes.add("left out, as more than %.0f %% got lost: %s, %s"
                            .formatted(100 * LOSS, policy, point.describe()));
                } else if (sample.load().packetsPerSecond() < point.rate() * (1 - HELD_UP)) {
                    notes.add("left out, as its sender was held up and sent %s packets/s: %s, %s"
                            .formatted(Numbers.text(sample.load().packetsPerSecond()), policy, point.describe()));
                } else if (sample.cpuNsPerPacket().orElse(1) <= 0) {
                    notes.add("left out, as it took no more CPU time than the end points by themselves: %s, %s"
                            .formatted(policy, point.describe()));
                } else if (sample.cpuNsPerPacket().isPresent()) {
                    samples.add(sample);
                }
            }
        }
        return samples;
    }

    private static boolean isUsable(final Point point) {
        return point.traffic().equals("udp") && point.paced() && point.rate() > 0 && point.frameBytes() > 0;
    }

    private static Sample sample(final Results results, final Policy policy, final Point point) {
        final var at = Optional.of(point);
        final String name = policy.toString();
        final double rate = results.median(name, at, Run::offeredPerSecond).orElse(point.rate());
        return new Sample(
                policy,
                point,
                new Load(rate, point.deniedShare(), point.frameBytes(), point.chain()),
                results.median(name, at, Run::cpuNsPerPacket),
                results.median(name, at, Run::interruptsPerPacket));
    }

    /**
     * Those that the fit must not see: of the combinations in the order of chain, denied share, frame size and rate, every
     * third, unless it has the smallest or largest value of one of these among the ones that are left. So a rule chooses,
     * and the model is judged between what it has seen.
     *
     * @param samples of one policy
     */
    static List<Sample> heldOut(final List<Sample> samples) {
        final List<Sample> sorted = new ArrayList<>(samples);
        sorted.sort((a, b) -> Point.ORDER.compare(a.point(), b.point()));
        final List<Sample> left = new ArrayList<>(sorted);
        final List<Sample> heldOut = new ArrayList<>();
        int kept = 0;
        for (final Sample sample : sorted) {
            left.remove(sample);
            if (kept >= 2 && isWithin(sample, left)) {
                heldOut.add(sample);
                kept = 0;
            } else {
                left.add(sample);
                kept++;
            }
        }
        return heldOut;
    }

    private static boolean isWithin(final Sample sample, final List<Sample> others) {
        return AXES.stream().allMatch(axis -> {
            final double value = axis.applyAsDouble(sample.point());
            return others.stream().anyMatch(other -> axis.applyAsDouble(other.point()) <= value)
                    && others.stream().anyMatch(other -> axis.applyAsDouble(other.point()) >= value);
        });
    }
}

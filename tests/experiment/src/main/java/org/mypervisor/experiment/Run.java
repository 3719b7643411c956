package org.mypervisor.experiment;

import java.util.Objects;
import java.util.OptionalDouble;
import java.util.stream.Stream;

/**
 * One measured interval of one arrangement, as experiment.json has it: component names there are in snake case, and
 * everything but the first two may be absent.
 *
 * @param askedPps frames a second that a paced sender of UDP was to send; what it did send is less when it was held up
 * @param sendSeconds of the measured ones, those in which frames were sent; null: all
 * @param deniedShare of sent frames, those that the middlebox's rules deny
 * @param frameBytes without FCS; null where the traffic has no one size
 */
record Run(
        String arrangement,
        String traffic,
        Integer chain,
        Boolean paced,
        Double askedPps,
        Double frameBytes,
        Boolean offloads,
        Double deniedShare,
        Integer round,
        Integer tries,
        Double seconds,
        Double sendSeconds,
        Double sent,
        Double delivered,
        Double deniedDelivered,
        Double bytes,
        Double mbit,
        Double pps,
        Double requestsPerS,
        Latency latencyUs,
        Double guestInterrupts,
        Worker worker,
        Cpu cpuS) {

    static final String BASELINE = "baseline";

    record Latency(Double median, Double p99) {}

    record Worker(Double packets, Double busyNs, Double bursts) {}

    /** Seconds. {@code net} is {@code system} without {@code baseline}; the others are where {@code system} was spent. */
    record Cpu(
            Double system,
            Double baseline,
            Double net,
            Double qemu,
            Double mypervisor,
            Double echo,
            Double softirq,
            Double endpoints) {
        /** What none of the others accounts for; null when the total is not known. */
        Double rest() {
            if (system == null) {
                return null;
            }
            final double known = Stream.of(qemu, mypervisor, echo, softirq, endpoints)
                    .filter(Objects::nonNull)
                    .mapToDouble(Double::doubleValue)
                    .sum();
            return Math.max(0, system - known);
        }
    }

    Run {
        chain = chain == null ? Integer.valueOf(1) : chain;
        paced = paced != null && paced;
        offloads = offloads != null && offloads;
        deniedShare = deniedShare == null ? Double.valueOf(0) : deniedShare;
        latencyUs = latencyUs == null ? new Latency(null, null) : latencyUs;
        worker = worker == null ? new Worker(null, null, null) : worker;
        cpuS = cpuS == null ? new Cpu(null, null, null, null, null, null, null, null) : cpuS;
    }

    /** @throws WrongInputException when no run can have such values; {@code place} tells which run it is */
    void check(final String place) throws WrongInputException {
        require(arrangement != null, place, "arrangement", "is missing");
        require(traffic != null, place, "traffic", "is missing");
        require(chain >= 1, place, "chain=" + chain, "must be at least 1");
        require(deniedShare >= 0 && deniedShare <= 1, place, "denied_share=" + deniedShare, "must be from 0 to 1");
        require(frameBytes == null || frameBytes > 0, place, "frame_bytes=" + frameBytes, "must be above 0");
        require(seconds == null || seconds > 0, place, "seconds=" + seconds, "must be above 0");
        require(sent == null || sent >= 0, place, "sent=" + sent, "must not be negative");
    }

    private static void require(final boolean right, final String place, final String field, final String rule)
            throws WrongInputException {
        if (!right) {
            throw new WrongInputException(place + ": " + field + " " + rule);
        }
    }

    boolean isPacedUdp() {
        return paced && "udp".equals(traffic);
    }

    OptionalDouble offeredPerSecond() {
        return ratio(sent, sendSeconds == null ? seconds : sendSeconds);
    }

    OptionalDouble deliveredPerSecond() {
        return pps == null ? ratio(delivered, seconds) : OptionalDouble.of(pps);
    }

    OptionalDouble requestsPerSecond() {
        return requestsPerS == null ? ratio(delivered, seconds) : OptionalDouble.of(requestsPerS);
    }

    OptionalDouble megabitsPerSecond() {
        return mbit == null ? times(ratio(bytes, seconds), 8e-6) : OptionalDouble.of(mbit);
    }

    OptionalDouble interruptsPerPacket() {
        return ratio(guestInterrupts, sent);
    }

    OptionalDouble interruptsPerThousandAllowed() {
        return times(ratio(guestInterrupts, sent == null ? null : sent * (1 - deniedShare)), 1000);
    }

    OptionalDouble cpuSecondsPerGigabyte() {
        return times(ratio(netCpu(), bytes), 1e9);
    }

    OptionalDouble cpuSecondsPerMillionPackets() {
        return times(ratio(netCpu(), sent), 1e6);
    }

    OptionalDouble cpuNsPerPacket() {
        return times(ratio(netCpu(), sent), 1e9);
    }

    /** Nanoseconds of {@code seconds}, one of {@link #cpuS}, for each sent packet. */
    OptionalDouble nsPerPacket(final Double part) {
        return times(ratio(part, sent), 1e9);
    }

    OptionalDouble workerNsPerPacket() {
        return ratio(worker.busyNs(), worker.packets());
    }

    /** The share of allowed frames that did not arrive. */
    OptionalDouble lossShare() {
        final OptionalDouble arrived = ratio(delivered, sent == null ? null : sent * (1 - deniedShare));
        return arrived.isEmpty() ? arrived : OptionalDouble.of(1 - arrived.getAsDouble());
    }

    private Double netCpu() {
        if (BASELINE.equals(arrangement)) {
            return 0.0;
        }
        if (cpuS.net() == null && cpuS.system() != null && cpuS.baseline() != null) {
            return cpuS.system() - cpuS.baseline();
        }
        return cpuS.net();
    }

    static OptionalDouble of(final Double value) {
        return value == null ? OptionalDouble.empty() : OptionalDouble.of(value);
    }

    private static OptionalDouble ratio(final Double value, final Double of) {
        return value == null || of == null || of <= 0 ? OptionalDouble.empty() : OptionalDouble.of(value / of);
    }

    private static OptionalDouble times(final OptionalDouble value, final double factor) {
        return value.isEmpty() ? value : OptionalDouble.of(value.getAsDouble() * factor);
    }
}

package org.mypervisor.offload.cost;

import java.util.List;

/**
 * What a load would cost under a policy.
 *
 * @param cpuNsPerPacket CPU time of the whole host for one offered packet, net of the end points' own
 * @param guestInterruptsPerThousandPackets in all middlebox guests together, for offered packets
 * @param cpus how many CPUs that keeps busy
 * @param warnings sentences: why to believe less of it
 */
public record Prediction(
        String policy,
        double cpuNsPerPacket,
        double guestInterruptsPerThousandPackets,
        double cpus,
        List<String> warnings) {}

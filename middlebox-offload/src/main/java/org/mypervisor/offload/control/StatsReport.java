package org.mypervisor.offload.control;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.List;
import java.util.Map;

/**
 * All counters at one moment. Counters start at zero with the process and are not read in one atomic step.
 *
 * <p>Component names in snake case are the names in JSON: fields may be added, never renamed.
 *
 * @param uptimeS seconds since the back-end started
 */
public record StatsReport(double uptimeS, List<PortStats> ports, List<PathStats> paths, List<WorkerStats> workers) {
    /** @param bytes without virtio-net header and FCS */
    public record Traffic(long packets, long bytes) {}

    /**
     * @param features the negotiated virtio features in hexadecimal
     * @param received from the port into us
     * @param sent from us to the port
     * @param kicks kick eventfds that woke us
     * @param calls interrupts raised towards the guest
     * @param missed frames that an interface had for us while the ring was full; they are not among those received
     * @param mode by which of several ways frames go, as {@code native XDP, copy}; empty when there is one only
     */
    public record PortStats(
            String id,
            String type,
            String state,
            String features,
            int queues,
            Traffic received,
            Traffic sent,
            Map<String, Long> drops,
            long kicks,
            long calls,
            Map<String, Long> faults,
            long missed,
            String mode) {}

    /** @param elements what the elements of the path counted themselves */
    public record PathStats(
            String path, long packets, long bytes, Map<String, Long> drops, List<ElementStats> elements) {}

    /** @param counts such as the packets of a {@code count} element */
    public record ElementStats(String element, Map<String, Long> counts) {}

    /** @param cpu the CPU it is pinned to, -1 when it is not */
    public record WorkerStats(int cpu, long packets, long bursts, long busyNs, long idleNs) {}

    public String toJson() {
        return Json.write(this);
    }

    /** @throws JsonProcessingException when the text is not a report */
    public static StatsReport fromJson(final String json) throws JsonProcessingException {
        return Json.read(json, StatsReport.class);
    }
}

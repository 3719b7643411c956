package org.mypervisor.offload.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.mypervisor.offload.cost.CostModel;
import org.mypervisor.offload.cost.Load;
import org.mypervisor.offload.cost.PolicyCost;
import org.mypervisor.offload.cost.Prediction;

/** Predictions as text for people, and as JSON for programs. */
final class CostTable {
    private CostTable() {}

    /** Field names in snake case are those of the JSON: they may be added, never renamed. */
    private record Report(Load load, String measured, CostModel.Machine machine, List<Prediction> predictions) {}

    static String json(final Load load, final CostModel model, final List<Prediction> predictions)
            throws JsonProcessingException {
        return JsonMapper.builder()
                .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
                .build()
                .writeValueAsString(new Report(load, model.measured(), model.machine(), predictions));
    }

    static String of(final Load load, final CostModel model, final List<Prediction> predictions) {
        final StringBuilder text = new StringBuilder();
        line(
                text,
                "%,.0f packets/s of %.0f bytes, %.0f %% denied, %d %s",
                load.packetsPerSecond(),
                load.frameBytes(),
                100 * load.deniedShare(),
                load.chain(),
                load.chain() == 1 ? "middlebox" : "middleboxes in a chain");
        line(
                text,
                "predicted for %d CPUs (%s), accelerator %s, measured %s",
                model.machine().cpus(),
                model.machine().cpuModel(),
                model.machine().accelerator(),
                model.measured());
        line(text, "");
        line(text, "%-12s %14s %20s %8s %16s", "policy", "host CPU", "guest interrupts", "CPUs", "error of CPU,");
        line(text, "%-12s %14s %20s %8s %16s", "", "ns/packet", "per 1,000 packets", "busy", "median / worst");
        for (final Prediction prediction : predictions) {
            line(
                    text,
                    "%-12s %,14.0f %,20.1f %8.3f %16s",
                    prediction.policy(),
                    prediction.cpuNsPerPacket(),
                    prediction.guestInterruptsPerThousandPackets(),
                    prediction.cpus(),
                    errors(model.policies().get(prediction.policy()).check()));
        }
        return text.toString().stripTrailing();
    }

    /** Each once, with the policies it is about unless it is about all of them. */
    static List<String> warnings(final List<Prediction> predictions) {
        return predictions.stream()
                .flatMap(prediction -> prediction.warnings().stream())
                .distinct()
                .map(warning -> {
                    final List<String> about = predictions.stream()
                            .filter(prediction -> prediction.warnings().contains(warning))
                            .map(Prediction::policy)
                            .toList();
                    return about.size() == predictions.size() ? warning : String.join(", ", about) + ": " + warning;
                })
                .toList();
    }

    private static String errors(final PolicyCost.Check check) {
        return Stream.of(check.medianError(), check.worstError()).anyMatch(error -> error == null)
                ? "unknown"
                : String.format(Locale.ROOT, "%.0f / %.0f %%", 100 * check.medianError(), 100 * check.worstError());
    }

    private static void line(final StringBuilder text, final String format, final Object... values) {
        text.append(String.format(Locale.ROOT, format, values).stripTrailing()).append('\n');
    }
}

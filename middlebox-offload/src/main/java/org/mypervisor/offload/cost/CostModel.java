package org.mypervisor.offload.cost;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * What each policy costs on one machine. It is linear in a packet's {@link Work}; the coefficients come from measured runs
 * and are kept as JSON with component names in snake case.
 *
 * @param measured when the runs were made, as their report says it
 * @param policies by their word on the command line
 */
public record CostModel(String measured, Machine machine, Map<String, PolicyCost> policies) {
    /** In middlebox-offload's resources once runs were measured; never made up. */
    private static final String BUILT_IN = "cost-model.json";

    /** @param cpus 0 when unknown */
    public record Machine(int cpus, String cpuModel, String accelerator) {}

    public CostModel {
        Objects.requireNonNull(machine, "machine");
        Objects.requireNonNull(policies, "policies");
        policies.forEach((word, cost) -> {
            if (Policy.of(word).isEmpty() || cost == null) {
                throw new IllegalArgumentException("policies: '" + word + "' is no policy with coefficients");
            }
        });
    }

    /** The model that this build was given, if it was given one. */
    public static Optional<CostModel> builtIn() throws IOException {
        try (InputStream in = CostModel.class.getResourceAsStream(BUILT_IN)) {
            return in == null ? Optional.empty() : Optional.of(Json.MAPPER.readValue(in, CostModel.class));
        }
    }

    /** @throws JsonProcessingException when the file has another form */
    public static CostModel read(final Path file) throws IOException {
        return Json.MAPPER.readValue(Files.readAllBytes(file), CostModel.class);
    }

    public String toJson() {
        return Json.write(this);
    }

    /** @return empty when the model knows nothing of the policy */
    public Optional<Prediction> predict(final Policy policy, final Load load) {
        final PolicyCost cost = policies.get(policy.toString());
        if (cost == null) {
            return Optional.empty();
        }
        final double nsPerPacket =
                cost.cpu().nsPerPacket(Work.of(policy, load, cost.cpu().wakeUpSpacingS()));
        final double cpus = nsPerPacket * load.packetsPerSecond() / 1e9;
        final List<String> warnings = new ArrayList<>(cost.ranges().exceededBy(load));
        if (machine.cpus() > 0 && cpus > machine.cpus()) {
            warnings.add(String.format(
                    Locale.ROOT, "%.2f CPUs are more than the %d that were measured on", cpus, machine.cpus()));
        }
        return Optional.of(new Prediction(
                policy.toString(), nsPerPacket, 1000 * cost.interrupts().perPacket(policy, load), cpus, warnings));
    }

    /** Loaded when a model is read or written, and not before. */
    private static final class Json {
        static final JsonMapper MAPPER = JsonMapper.builder()
                .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
                .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                // A coefficient that is missing is not 0.
                .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
                .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
                .build();

        private static final DefaultPrettyPrinter LINES =
                new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n"));

        static String write(final Object model) {
            try {
                return MAPPER.writer(LINES).writeValueAsString(model) + "\n";
            } catch (final JsonProcessingException e) {
                throw new IllegalStateException("a record of numbers and texts always has a JSON form", e);
            }
        }
    }
}

package org.mypervisor.experiment;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** experiment.json, as the experiment script writes it. */
record Experiment(
        String date, String grid, Double seconds, Machine machine, Map<String, String> commands, List<Run> runs) {
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    record Machine(Integer cpus, String cpuModel, String kernel, String accelerator, String qemu, String jdk) {}

    Experiment {
        machine = machine == null ? new Machine(null, null, null, null, null, null) : machine;
        commands = commands == null ? Map.of() : commands;
    }

    static Experiment read(final Path file) throws WrongInputException {
        try {
            final Experiment experiment = MAPPER.readValue(Files.readAllBytes(file), Experiment.class);
            if (experiment == null
                    || experiment.runs() == null
                    || experiment.runs().isEmpty()) {
                throw new WrongInputException(file + " is no experiment: it has no runs");
            }
            for (int i = 0; i < experiment.runs().size(); i++) {
                final String place = file + ": runs[" + i + "]";
                if (experiment.runs().get(i) == null) {
                    throw new WrongInputException(place + " is null");
                }
                experiment.runs().get(i).check(place);
            }
            return experiment;
        } catch (final NoSuchFileException e) {
            throw new WrongInputException("there is no file " + file);
        } catch (final JsonProcessingException e) {
            throw new WrongInputException(
                    "%s:%d:%d: not the JSON of an experiment: %s".formatted(file, line(e), column(e), firstLine(e)));
        } catch (final IOException e) {
            throw new WrongInputException("cannot read " + file + ": " + e.getMessage());
        }
    }

    private static int line(final JsonProcessingException e) {
        return e.getLocation() == null ? 1 : Math.max(1, e.getLocation().getLineNr());
    }

    private static int column(final JsonProcessingException e) {
        return e.getLocation() == null ? 1 : Math.max(1, e.getLocation().getColumnNr());
    }

    private static String firstLine(final JsonProcessingException e) {
        return e.getOriginalMessage().lines().findFirst().orElse("it cannot be read");
    }
}

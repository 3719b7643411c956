package org.mypervisor.offload.control;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;

/** Records to JSON and back; component names appear in snake case. */
final class Json {
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .build();

    private Json() {}

    static String write(final Object report) {
        try {
            return MAPPER.writeValueAsString(report);
        } catch (final JsonProcessingException e) {
            throw new IllegalStateException("a record of numbers and texts always has a JSON form", e);
        }
    }

    /** @throws JsonProcessingException when the text has another form */
    static <T> T read(final String json, final Class<T> type) throws JsonProcessingException {
        return MAPPER.readValue(json, type);
    }
}

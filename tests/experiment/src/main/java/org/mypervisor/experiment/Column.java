package org.mypervisor.experiment;

import java.util.DoubleSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * One number for every arrangement: a metric at the point where arrangements are compared.
 *
 * @param title with the unit
 */
record Column(String title, Results results, Optional<Point> point, Function<Run, OptionalDouble> metric) {
    OptionalDouble of(final String arrangement) {
        return results.median(arrangement, point, metric);
    }

    /** The median with the least and the greatest of the rounds. */
    String withSpread(final String arrangement) {
        final DoubleSummaryStatistics spread = results.spread(arrangement, point, metric);
        final String median = Numbers.text(of(arrangement));
        return spread.getCount() < 2
                ? median
                : "%s (%s–%s)".formatted(median, Numbers.text(spread.getMin()), Numbers.text(spread.getMax()));
    }

    OptionalDouble ratio(final String arrangement, final String to) {
        return Numbers.ratio(of(arrangement), of(to));
    }

    /** By arrangement; null where it was not measured. */
    Map<String, Double> values() {
        final Map<String, Double> values = new LinkedHashMap<>();
        for (final String arrangement : results.arrangements()) {
            final OptionalDouble value = of(arrangement);
            values.put(arrangement, value.isPresent() ? Double.valueOf(value.getAsDouble()) : null);
        }
        return values;
    }

    String where() {
        return point.map(Point::describe).orElse(Numbers.NOT_MEASURED);
    }
}

package org.mypervisor.experiment;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class ResultsTest {
    private static final double SECONDS = 1;

    @Test
    void shouldCountARunThatWasHeldUpAmongThoseOfTheRateItWasAskedFor() {
        final Results results = new Results(List.of(paced(1, 3400.0, 3390), paced(2, 3400.0, 2400)));

        assertEquals(List.of(3400.0), rates(results));
    }

    @Test
    void shouldGatherMeasuredRatesWhenRunsDoNotSayWhatTheyWereAskedFor() {
        final Results results = new Results(List.of(paced(1, null, 3390), paced(2, null, 3410), paced(1, null, 6800)));

        assertEquals(List.of(3400.0, 6800.0), rates(results));
    }

    private static List<Double> rates(final Results results) {
        return results.points(point -> true).stream().map(Point::rate).toList();
    }

    static Run paced(final int round, final Double askedPps, final double sent) {
        return new Run(
                "filter",
                "udp",
                1,
                true,
                askedPps,
                64.0,
                true,
                0.0,
                round,
                1,
                SECONDS + 0.05,
                SECONDS,
                sent,
                sent,
                0.0,
                null,
                null,
                null,
                null,
                null,
                null,
                null,
                new Run.Cpu(0.2, 0.1, 0.1, null, null, null, null, null));
    }
}

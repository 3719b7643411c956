package org.mypervisor.experiment;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

final class NonNegativeLeastSquaresTest {
    @Test
    void shouldFindWhatTheRowsWereMadeOf() {
        final double[][] rows = {{1, 1e6, 0}, {1, 2e6, 1}, {1, 5e6, 0}, {1, 1e6, 3}};
        final double[] x = {4, 3e-6, 7};
        final double[] values = new double[rows.length];
        for (int i = 0; i < rows.length; i++) {
            for (int j = 0; j < x.length; j++) {
                values[i] += rows[i][j] * x[j];
            }
        }
        assertArrayEquals(x, NonNegativeLeastSquares.solve(rows, values), 1e-9);
    }

    /** y = 2x - 1 at x = 1, 2, 3: without the -1, the slope that is nearest to (1, 3, 5) is 22/14. */
    @Test
    void shouldDropWhatWouldBeNegative() {
        final double[][] rows = {{1, 1}, {2, 1}, {3, 1}};
        assertArrayEquals(
                new double[] {22 / 14.0, 0}, NonNegativeLeastSquares.solve(rows, new double[] {1, 3, 5}), 1e-12);
        assertArrayEquals(new double[] {0, 0}, NonNegativeLeastSquares.solve(rows, new double[] {-1, -3, -5}), 1e-12);
    }

    @Test
    void shouldUseOneOfTwoColumnsThatSayTheSame() {
        final double[][] rows = {{1, 2, 0}, {2, 4, 0}, {3, 6, 0}};
        assertArrayEquals(new double[] {2, 0, 0}, NonNegativeLeastSquares.solve(rows, new double[] {2, 4, 6}), 1e-12);
    }
}

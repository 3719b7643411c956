package org.mypervisor.experiment;

import java.util.stream.IntStream;
import org.hipparchus.linear.DecompositionSolver;
import org.hipparchus.linear.MatrixUtils;
import org.hipparchus.linear.QRDecomposition;
import org.hipparchus.linear.RealMatrix;
import org.hipparchus.linear.RealVector;

/**
 * Least squares whose coefficients are not negative. The best solution is an ordinary one on those columns whose
 * coefficients are above 0; with a handful of columns all sets of columns are simply tried.
 */
final class NonNegativeLeastSquares {
    /** Columns of length 1 that are nearer than this to a combination of the others say nothing of their own. */
    private static final double SINGULAR = 1e-7;

    /** A larger set of columns has to be better by more than rounding. */
    private static final double BETTER = 1 - 1e-9;

    private static final int MOST_COLUMNS = 12;

    private NonNegativeLeastSquares() {}

    /** @return x, of which {@code rows} times x is nearest to {@code values} */
    static double[] solve(final double[][] rows, final double[] values) {
        final int columns = rows[0].length;
        if (columns > MOST_COLUMNS) {
            throw new IllegalArgumentException("columns=" + columns + " is more than " + MOST_COLUMNS);
        }
        final RealVector wanted = MatrixUtils.createRealVector(values);
        double[] best = new double[columns];
        double least = wanted.getNorm();
        // Small sets first: of two that explain the same, the simpler one stays.
        for (int size = 1; size <= Math.min(columns, rows.length); size++) {
            for (int set = 1; set < 1 << columns; set++) {
                if (Integer.bitCount(set) != size) {
                    continue;
                }
                final double[] solution = solve(rows, wanted, set);
                if (solution == null) {
                    continue;
                }
                final double distance = wanted.subtract(
                                MatrixUtils.createRealMatrix(rows).operate(MatrixUtils.createRealVector(solution)))
                        .getNorm();
                if (distance < least * BETTER) {
                    least = distance;
                    best = solution;
                }
            }
        }
        return best;
    }

    /** Null when the columns of the set have no unique solution, or one with a negative coefficient. */
    private static double[] solve(final double[][] rows, final RealVector wanted, final int set) {
        final int[] chosen = IntStream.range(0, rows[0].length)
                .filter(column -> (set & 1 << column) != 0)
                .toArray();
        final RealMatrix matrix = MatrixUtils.createRealMatrix(rows.length, chosen.length);
        final double[] lengths = new double[chosen.length];
        for (int i = 0; i < chosen.length; i++) {
            final double[] column = new double[rows.length];
            for (int row = 0; row < rows.length; row++) {
                column[row] = rows[row][chosen[i]];
            }
            lengths[i] = MatrixUtils.createRealVector(column).getNorm();
            if (lengths[i] == 0) {
                return null;
            }
            matrix.setColumnVector(i, MatrixUtils.createRealVector(column).mapDivide(lengths[i]));
        }
        final DecompositionSolver solver = new QRDecomposition(matrix, SINGULAR).getSolver();
        if (!solver.isNonSingular()) {
            return null;
        }
        final RealVector scaled = solver.solve(wanted);
        final double[] solution = new double[rows[0].length];
        for (int i = 0; i < chosen.length; i++) {
            solution[chosen[i]] = scaled.getEntry(i) / lengths[i];
            if (solution[chosen[i]] < 0) {
                return null;
            }
        }
        return solution;
    }
}

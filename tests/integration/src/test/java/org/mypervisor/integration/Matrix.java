package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.opentest4j.TestAbortedException;

/**
 * Runs cells as tests: the short form, or all of them with {@code -Dmatrix=full}; {@code -Dmatrix.filter=REGEX} takes
 * those whose name has a match. What came of each is a line of {@code target/matrix/NAME.tsv}: cell, result, seconds.
 */
final class Matrix {
    private static final Path FOLDER = Path.of("target/matrix");

    private final Path results;
    private final Runnable afterFailure;

    private Matrix(final Path results, final Runnable afterFailure) {
        this.results = results;
        this.afterFailure = afterFailure;
    }

    static boolean full() {
        return "full".equals(System.getProperty("matrix"));
    }

    /** @param afterFailure makes a clean table for the next cell */
    static Stream<DynamicTest> tests(final String name, final List<Cell> cells, final Runnable afterFailure)
            throws IOException {
        final Path results = Files.createDirectories(FOLDER).resolve(name + ".tsv");
        Files.deleteIfExists(results);
        final Matrix matrix = new Matrix(results, afterFailure);
        final Pattern filter = Pattern.compile(System.getProperty("matrix.filter", ""));
        return cells.stream()
                .filter(cell -> full() || cell.brief())
                .filter(cell -> filter.matcher(cell.name()).find())
                .map(cell -> DynamicTest.dynamicTest(cell.name(), () -> matrix.run(cell)));
    }

    private void run(final Cell cell) throws IOException {
        final long before = System.nanoTime();
        String result = "FAILED";
        try {
            assertTimeoutPreemptively(cell.limit(), cell.body()::run, cell.name());
            result = "passed";
        } catch (final TestAbortedException e) {
            result = "skipped: " + e.getMessage();
            throw e;
        } finally {
            final String line = "%s\t%s\t%.1f".formatted(cell.name(), result, (System.nanoTime() - before) / 1e9);
            System.out.println(line.replace('\t', ' '));
            Files.writeString(results, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
            if (result.equals("FAILED")) {
                afterFailure.run();
            }
        }
    }
}

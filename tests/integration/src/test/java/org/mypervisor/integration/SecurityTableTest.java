package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** docs/security.md names tests that exist, and for each id one that has it in its name. */
final class SecurityTableTest {
    private static final Path ROOT = Path.of("../..");
    private static final Pattern TEST = Pattern.compile("`(?:([vuo])\\.([\\w.]+))?#(\\w+)`");
    private static final Map<String, String> PACKAGES = Map.of(
            "v", "virtqueue/src/test/java/org/mypervisor/virtqueue",
            "u", "vhost-user/src/test/java/org/mypervisor/vhostuser",
            "o", "middlebox-offload/src/test/java/org/mypervisor/offload");

    /** Fewer would mean that the tables are not read as they are written. */
    private static final int ROWS_AT_LEAST = 40;

    /** @param ids none in a table without that column */
    private record Row(List<String> ids, List<Named> tests, String text) {}

    private record Named(String place, String subject, String method) {
        @Override
        public String toString() {
            return place + "." + subject + "#" + method;
        }
    }

    private final List<Row> rows = new ArrayList<>();

    @BeforeEach
    void readTables() throws IOException {
        boolean inTable = false;
        boolean withIds = false;
        for (final String line : Files.readAllLines(ROOT.resolve("docs/security.md"))) {
            if (!line.startsWith("|")) {
                inTable = false;
            } else if (line.endsWith("| tests |")) {
                inTable = true;
                withIds = line.startsWith("| id |");
            } else if (inTable && !line.startsWith("|---")) {
                final String[] cells = line.split("\\|");
                final List<String> ids = withIds ? List.of(cells[1].trim().split(", ")) : List.of();
                rows.add(new Row(ids, tests(cells[cells.length - 1]), line));
            }
        }
        assertTrue(rows.size() >= ROWS_AT_LEAST, () -> rows.size() + " rows");
    }

    /** A class is named where it differs from the one before. */
    private static List<Named> tests(final String cell) {
        final List<Named> tests = new ArrayList<>();
        final Matcher matcher = TEST.matcher(cell);
        while (matcher.find()) {
            final boolean sameClass = matcher.group(1) == null;
            final Named before = sameClass ? tests.get(tests.size() - 1) : null;
            tests.add(new Named(
                    sameClass ? before.place() : matcher.group(1),
                    sameClass ? before.subject() : matcher.group(2),
                    matcher.group(3)));
        }
        return tests;
    }

    @Test
    void shouldNameTestsThatExist() throws IOException {
        final List<String> missing = new ArrayList<>();
        for (final Row row : rows) {
            assertTrue(!row.tests().isEmpty(), row::text);
            for (final Named test : row.tests()) {
                final Path source = ROOT.resolve(PACKAGES.get(test.place()))
                        .resolve(test.subject().replace('.', '/') + ".java");
                if (!Files.exists(source) || !Files.readString(source).contains("void " + test.method() + "(")) {
                    missing.add(test.toString());
                }
            }
        }
        assertEquals(List.of(), missing);
    }

    @Test
    void shouldHaveATestForEachIdWithTheIdInItsName() {
        final List<String> missing = new ArrayList<>();
        for (final Row row : rows) {
            for (final String id : row.ids()) {
                if (row.tests().stream().noneMatch(test -> plain(test.method()).contains(plain(id)))) {
                    missing.add(id);
                }
            }
        }
        assertEquals(List.of(), missing);
    }

    /** Letters and digits only: {@code rust-vmm#211} is {@code rust_vmm_211} in a name. */
    private static String plain(final String name) {
        return name.replaceAll("[^A-Za-z0-9]", "").toLowerCase(Locale.ROOT);
    }
}

package org.mypervisor.integration;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** QEMU guests in all their forms and fates; {@link Matrix} says which of them run. */
final class QemuMatrixIT {
    @TempDir
    private Path folder;

    private QemuLab lab;

    @BeforeEach
    void needQemu() {
        assumeTrue(Guest.missing() == null, Guest::missing);
        lab = new QemuLab(folder);
    }

    @AfterEach
    void end() throws IOException {
        if (lab != null) {
            lab.close();
        }
    }

    @TestFactory
    Stream<DynamicTest> shouldServeQemuGuests() throws IOException {
        final List<Cell> cells = new ArrayList<>(QemuCells.on(lab));
        cells.addAll(new QemuTopologies(folder).cells());
        cells.addAll(new OffloadCells(folder).cells());
        return Matrix.tests("qemu", cells, lab::discard);
    }
}

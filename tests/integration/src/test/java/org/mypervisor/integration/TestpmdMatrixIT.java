package org.mypervisor.integration;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** dpdk-testpmd in all its forms; {@link Matrix} says which of them run. */
final class TestpmdMatrixIT {
    @TempDir
    private Path folder;

    @BeforeEach
    void needTestpmd() {
        assumeTrue(Testpmd.missing() == null, Testpmd::missing);
    }

    @TestFactory
    Stream<DynamicTest> shouldAccountForEveryFrame() throws IOException {
        return Matrix.tests("testpmd", TestpmdCells.in(folder), () -> {});
    }
}

package org.mypervisor.integration;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Every pair of port types under real traffic; {@link Matrix} says which forms run. */
final class InterfaceMatrixIT {
    @TempDir
    private Path folder;

    private PairingCells pairings;

    @BeforeEach
    void needPrograms() {
        final String missing = Stream.of(
                        NetNamespace.missing(), NetTool.missing(), Guest.missing(), WebServer.missing())
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(null);
        assumeTrue(missing == null, missing);
        pairings = new PairingCells(folder);
    }

    @AfterEach
    void end() throws IOException {
        if (pairings != null) {
            pairings.close();
        }
    }

    @TestFactory
    Stream<DynamicTest> shouldCarryRealTraffic() throws IOException {
        return Matrix.tests("interfaces", pairings.cells(), pairings::discard);
    }
}

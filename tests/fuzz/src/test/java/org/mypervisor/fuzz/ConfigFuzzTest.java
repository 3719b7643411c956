package org.mypervisor.fuzz;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.mypervisor.offload.config.Config;
import org.mypervisor.offload.config.ConfigException;
import org.mypervisor.offload.config.Topology;

/** Whatever stands in a configuration file or behind an option: mistakes at places that exist, or a whole topology. */
class ConfigFuzzTest {
    private static final String RULES = "deny udp from any to any port 53\n";
    private static final String PORT_A = "id=a,path=/tmp/a";
    private static final String PORT_B = "id=b,path=/tmp/b";

    /** In memory where possible: disks are slow at files that are written over and over. */
    private static final class Folder {
        static final Path PATH = make();

        private static Path make() {
            final Path memory = Path.of("/dev/shm");
            try {
                final Path folder = Files.isWritable(memory)
                        ? Files.createTempDirectory(memory, "fuzz")
                        : Files.createTempDirectory("fuzz");
                Files.writeString(folder.resolve("a.rules"), RULES);
                // In reverse order, that is the files first.
                for (final String name : List.of("", "f.yaml", "a.rules")) {
                    folder.resolve(name).toFile().deleteOnExit();
                }
                return folder;
            } catch (final IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    @FuzzTest(maxDuration = "8s")
    void configurationIsRefusedWithAPlaceOrWhole(final FuzzedDataProvider data) throws IOException {
        final int options = data.consumeInt(0, 3);
        final String port = options > 0 ? data.consumeAsciiString(160) : "";
        final String path = options > 1 ? data.consumeAsciiString(160) : "";
        final String middlebox = options > 2 ? data.consumeAsciiString(160) : "";
        final byte[] yaml = data.consumeRemainingAsBytes();
        final Path file = Folder.PATH.resolve("f.yaml");
        Files.write(file, yaml);
        try {
            final Topology topology = Config.load(
                    Optional.of(file),
                    options > 0 ? List.of(PORT_A, PORT_B, port) : List.of(),
                    options > 1 ? List.of(path) : List.of(),
                    options > 2 ? List.of(middlebox) : List.of());
            assertTrue(topology.render().startsWith("ports:\n"));
        } catch (final ConfigException e) {
            Places.check(
                    e.mistakes(),
                    Map.of(
                            file.toString(),
                            Places.ofFile(yaml, "\n").or(Places.ofFile(yaml, "\r\n|\n|\r(?!\\z)")),
                            Folder.PATH.resolve("a.rules").toString(),
                            Places.ofLines(RULES),
                            "--port",
                            Places.ofLines(PORT_A, PORT_B, port),
                            "--path",
                            Places.ofLines(path),
                            "--middlebox",
                            Places.ofLines(middlebox)));
        }
    }
}

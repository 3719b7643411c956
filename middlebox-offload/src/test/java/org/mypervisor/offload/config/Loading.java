package org.mypervisor.offload.config;

import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** One configuration being put together by a test, as a user would on the command line. */
final class Loading {
    private Optional<Path> file = Optional.empty();
    private final List<String> ports = new ArrayList<>();
    private final List<String> paths = new ArrayList<>();
    private final List<String> middleboxes = new ArrayList<>();

    /** A start with one port for each id. */
    static Loading ports(final String... ids) {
        final Loading loading = new Loading();
        for (final String id : ids) {
            loading.port("id=" + id + ",path=/run/" + id + ".sock");
        }
        return loading;
    }

    static Loading yaml(final Path file, final String text) {
        try {
            Files.writeString(file, text);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        }
        return new Loading().file(file);
    }

    Loading file(final Path newFile) {
        file = Optional.of(newFile);
        return this;
    }

    Loading port(final String spec) {
        ports.add(spec);
        return this;
    }

    Loading path(final String spec) {
        paths.add(spec);
        return this;
    }

    Loading middlebox(final String spec) {
        middleboxes.add(spec);
        return this;
    }

    Topology load() {
        try {
            return Config.load(file, ports, paths, middleboxes);
        } catch (final ConfigException e) {
            throw new AssertionError(e);
        }
    }

    List<String> mistakes() {
        return assertThrows(ConfigException.class, () -> Config.load(file, ports, paths, middleboxes))
                .messages();
    }

    List<String> paths() {
        return load().paths().stream().map(ExpandedPath::text).toList();
    }
}

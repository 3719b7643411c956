package org.mypervisor.offload.config;

import java.util.ArrayList;
import java.util.List;
import org.mypervisor.offload.rules.Mistakes;

/** All that was written, from the file first and the command line after it, before anything is understood. */
final class Specs {
    final List<KeyValues> ports = new ArrayList<>();
    final List<SpecText> paths = new ArrayList<>();
    final List<KeyValues> middleboxes = new ArrayList<>();

    /** Adds the values of the command line options, in their order. */
    void addOptions(
            final List<String> portValues,
            final List<String> pathValues,
            final List<String> middleboxValues,
            final Mistakes mistakes) {
        options("--port", portValues).forEach(spec -> ports.add(KeyValues.of(spec, mistakes)));
        paths.addAll(options("--path", pathValues));
        options("--middlebox", middleboxValues).forEach(spec -> middleboxes.add(KeyValues.of(spec, mistakes)));
    }

    private static List<SpecText> options(final String option, final List<String> values) {
        final List<SpecText> specs = new ArrayList<>();
        for (final String value : values) {
            specs.add(SpecText.ofOption(option, specs.size() + 1, value));
        }
        return specs;
    }
}

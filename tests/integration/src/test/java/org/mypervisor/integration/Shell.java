package org.mypervisor.integration;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Runs programs of this machine. */
final class Shell {
    private Shell() {}

    /** How a program ended, and all that it printed. */
    record Result(int status, String output) {}

    static Result run(final List<String> command) {
        try {
            final Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            process.getOutputStream().close();
            final String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Result(process.waitFor(), output);
        } catch (final IOException e) {
            throw new UncheckedIOException(e);
        } catch (final InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** Of a program that must succeed. */
    static String must(final List<String> command) {
        final Result result = run(command);
        if (result.status() != 0) {
            throw new AssertionError(
                    "%s: status %d: %s".formatted(String.join(" ", command), result.status(), result.output()));
        }
        return result.output();
    }

    /** Words divided by blanks. */
    static String must(final String command) {
        return must(List.of(command.split(" ")));
    }
}

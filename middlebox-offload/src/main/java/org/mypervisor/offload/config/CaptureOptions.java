package org.mypervisor.offload.config;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.mypervisor.offload.capture.Limits;
import org.mypervisor.offload.capture.Pace;
import org.mypervisor.offload.rules.Mistakes;

/** Reads the keys that a port of type pcap has of its own. */
final class CaptureOptions {
    private static final int MAX_RATE = 100_000_000;
    private static final int MAX_LOOPS = 999_999_999;
    private static final int MAX_SECONDS = 31_536_000;
    private static final String FOREVER = "forever";

    /** That the kernel follows. */
    private static final int MAX_LINKS = 40;

    private final KeyValues keys;
    private final Mistakes mistakes;

    CaptureOptions(final KeyValues keys, final Mistakes mistakes) {
        this.keys = keys;
        this.mistakes = mistakes;
    }

    PortSpec.Pcap parse() {
        final SpecText read = file("read");
        final SpecText write = file("write");
        if (read == null && write == null) {
            mistakes.add(
                    keys.place(),
                    "the port has neither 'read' nor 'write'; add read=FILE to replay a capture, write=FILE to make one");
        }
        expectWith("read", "speed", "rate", "loop");
        expectWith("write", "size", "seconds");
        if (read != null && write != null && isSameFile(read, write)) {
            mistakes.add(write.place(), "this is the file that is replayed; write another one");
        }
        return new PortSpec.Pcap(
                Optional.ofNullable(read).map(SpecText::text),
                pace(),
                loops(),
                Optional.ofNullable(write).map(SpecText::text),
                new Limits(bytes(), keys.number("seconds", 1, MAX_SECONDS, 0)));
    }

    private SpecText file(final String key) {
        final SpecText file = keys.optional(key);
        if (file != null && file.text().indexOf('\0') >= 0) {
            mistakes.add(file.place(), "a file's name cannot hold a zero byte");
            return null;
        }
        return file;
    }

    /** Whether writing the one would destroy the other, by whatever names they go, and even before they are there. */
    static boolean isSameFile(final SpecText one, final SpecText other) {
        if (one.text().indexOf('\0') >= 0 || other.text().indexOf('\0') >= 0) {
            return false;
        }
        final Path path = Path.of(one.text());
        final Path otherPath = Path.of(other.text());
        try {
            return target(path).equals(target(otherPath))
                    || Files.exists(path) && Files.exists(otherPath) && Files.isSameFile(path, otherPath);
        } catch (final IOException e) {
            // Whoever opens it says why it cannot be had.
            return false;
        }
    }

    /** Where a file is, or would be made. */
    private static Path target(final Path file) throws IOException {
        Path path = file.toAbsolutePath();
        for (int i = 0; i < MAX_LINKS && Files.isSymbolicLink(path); i++) {
            path = path.resolveSibling(Files.readSymbolicLink(path));
        }
        final Path folder = path.getParent();
        if (folder == null || path.endsWith("..") || path.endsWith(".") || !Files.exists(folder)) {
            return path.normalize();
        }
        return folder.toRealPath().resolve(path.getFileName());
    }

    private void expectWith(final String file, final String... options) {
        for (final String option : options) {
            if (keys.optional(option) != null && keys.optional(file) == null) {
                mistakes.add(
                        keys.optional(option).place(),
                        "'" + option + "' goes with '" + file + "', which the port does not have; add " + file
                                + "=FILE");
            }
        }
    }

    private Pace pace() {
        final SpecText speed = keys.optional("speed");
        final SpecText rate = keys.optional("rate");
        if (speed != null && rate != null) {
            mistakes.add(rate.place(), "'speed' and 'rate' exclude each other");
        }
        if (rate != null) {
            return new Pace(1, keys.number("rate", 1, MAX_RATE, 1));
        }
        if (speed == null || speed.text().equals("recorded")) {
            return Pace.RECORDED;
        }
        if (speed.text().equals("max")) {
            return Pace.MAX;
        }
        final double factor = speed.text().matches("[0-9]{1,6}(\\.[0-9]{1,6})?x")
                ? Double.parseDouble(speed.text().substring(0, speed.text().length() - 1))
                : 0;
        if (factor == 0) {
            mistakes.add(
                    speed.place(), "'speed' is recorded, max or a multiple such as 2x or 0.5x, not " + speed.quoted());
            return Pace.RECORDED;
        }
        return new Pace(factor, 0);
    }

    private long loops() {
        final SpecText loop = keys.optional("loop");
        return loop != null && loop.text().equals(FOREVER) ? Long.MAX_VALUE : keys.number("loop", 1, MAX_LOOPS, 1);
    }

    private long bytes() {
        final SpecText size = keys.optional("size");
        if (size == null) {
            return 0;
        }
        if (!size.text().matches("[1-9][0-9]{0,18}[KMG]?")) {
            mistakes.add(
                    size.place(),
                    "'size' is a number of bytes, such as 100000, 500K, 100M or 2G, not " + size.quoted());
            return 0;
        }
        final String digits = size.text().replaceAll("[KMG]", "");
        final int unit = "KMG".indexOf(size.text().charAt(size.text().length() - 1)) + 1;
        final BigInteger bytes = new BigInteger(digits).shiftLeft(10 * unit);
        if (bytes.bitLength() >= Long.SIZE) {
            mistakes.add(size.place(), "'size' is at most " + Long.MAX_VALUE + " bytes, not " + size.quoted());
            return 0;
        }
        return bytes.longValue();
    }
}

package org.mypervisor.offload.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.logging.log4j.Level;
import org.mypervisor.offload.BackendOptions;
import picocli.CommandLine;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** How to run; {@code check} accepts the same so that it can judge the whole command line. */
final class RunOptions {
    /** What a worker does when there is nothing to do. */
    enum Poll {
        adaptive,
        busy
    }

    @Option(
            names = "--control",
            paramLabel = "SOCKET",
            description = "UNIX socket on which 'mypervisor stats' finds this back-end (HTTP/1.1, GET /v1/stats).")
    Path control;

    @Option(
            names = "--poll",
            paramLabel = "HOW",
            defaultValue = "adaptive",
            description =
                    "adaptive: spin briefly, then sleep until a guest kicks (default). busy: never sleep, for CPUs"
                            + " that have nothing else to do; of a guest that sends much, frames wait up to 5 us"
                            + " for others.")
    private Poll poll;

    @Option(
            names = "--cpus",
            paramLabel = "LIST",
            converter = CpuList.class,
            description =
                    "One worker pinned to each of these CPUs, such as 1 or 2-3,6; all other threads keep off them."
                            + " Default: one worker that is not pinned.")
    private List<Integer> cpus = new ArrayList<>();

    @Option(
            names = "--duration",
            paramLabel = "SECONDS",
            converter = Seconds.class,
            description = "Stop after so many seconds. Default: run until SIGTERM or SIGINT.")
    Double duration;

    @Option(
            names = "--exit-when-done",
            description = "Stop when every capture is replayed and nothing has moved for 0.2 s, or where none is"
                    + " replayed, when every file has its size= or seconds=. Exit code 1 if a file could not be"
                    + " written.")
    boolean exitWhenDone;

    @Option(
            names = "--log-level",
            paramLabel = "LEVEL",
            defaultValue = "info",
            converter = LogLevel.class,
            description = "error, warn, info (default), debug or trace.")
    Level logLevel;

    BackendOptions backendOptions() {
        return new BackendOptions(poll == Poll.busy, cpus);
    }

    /** Reads {@code 2-3,6}. */
    static final class CpuList implements ITypeConverter<List<Integer>> {
        @Override
        public List<Integer> convert(final String text) {
            final List<Integer> cpus = new ArrayList<>();
            for (final String part : text.split(",", -1)) {
                final String[] ends = part.split("-", 2);
                final int first = cpu(ends[0], text);
                final int last = cpu(ends[ends.length - 1], text);
                if (first > last) {
                    throw new TypeConversionException("'" + part + "' goes backwards; write " + last + "-" + first);
                }
                for (int cpu = first; cpu <= last; cpu++) {
                    if (cpus.contains(cpu)) {
                        throw new TypeConversionException("CPU " + cpu + " stands twice in '" + text + "'");
                    }
                    cpus.add(cpu);
                }
            }
            return cpus;
        }

        private static int cpu(final String text, final String whole) {
            try {
                final int cpu = Integer.parseInt(text);
                if (BackendOptions.allowedCpus().get(cpu)) {
                    return cpu;
                }
                throw new TypeConversionException(
                        "this process may not use CPU " + cpu + "; it may use " + BackendOptions.allowedCpus());
            } catch (final NumberFormatException | IndexOutOfBoundsException e) {
                throw new TypeConversionException("'" + whole + "' is no list of CPUs such as 1 or 2-3,6");
            }
        }
    }

    /** Reads a positive number. */
    static final class Seconds implements ITypeConverter<Double> {
        @Override
        public Double convert(final String text) {
            try {
                final double seconds = Double.parseDouble(text);
                if (seconds > 0) {
                    return seconds;
                }
            } catch (final NumberFormatException e) {
                // Refused below.
            }
            throw new TypeConversionException("'" + text + "' is no number of seconds above 0, such as 60 or 0.5");
        }
    }

    /** Reads a level by its name. */
    static final class LogLevel implements ITypeConverter<Level> {
        @Override
        public Level convert(final String text) {
            final Level level = Level.getLevel(text.toUpperCase(java.util.Locale.ROOT));
            if (level == null) {
                throw new CommandLine.TypeConversionException(
                        "'" + text + "' is no log level; there are error, warn, info, debug, trace");
            }
            return level;
        }
    }
}

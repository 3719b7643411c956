package org.mypervisor.fuzz;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.LoggerContext;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;
import org.mypervisor.driversim.VhostUserSocket;
import org.mypervisor.offload.Backend;
import org.mypervisor.offload.BackendOptions;
import org.mypervisor.offload.config.Config;
import org.mypervisor.offload.config.ConfigException;
import org.mypervisor.offload.control.StatsReport;

/**
 * A whole back-end with one port, whose frames go through a filter and back to it, so that one front-end drives both
 * directions. It runs for the whole life of the JVM, one session after the other.
 */
final class FuzzedBackend {
    static final int QUEUE_PAIRS = 2;

    private static final Duration TIMEOUT = Duration.ofSeconds(20);

    private final Path socket;
    private final Backend backend;
    private final AtomicReference<String> failure = new AtomicReference<>();

    FuzzedBackend() {
        Thread.setDefaultUncaughtExceptionHandler((thread, e) -> failure.set(thread.getName() + " died of " + e));
        new ErrorWatch().watch();
        try {
            final Path folder = Files.createTempDirectory("fuzz");
            final Path rules = folder.resolve("rules");
            Files.writeString(rules, "deny udp from any to any port 53\nallow ip6 from any to any\n");
            socket = folder.resolve("s");
            // In reverse order, that is the files first.
            for (final Path each : List.of(folder, rules, socket)) {
                each.toFile().deleteOnExit();
            }
            backend = new Backend(
                    Config.load(
                            Optional.empty(),
                            List.of("id=a,path=" + socket + ",queues=" + QUEUE_PAIRS + ",wait=0"),
                            List.of("a -> filter(rules=" + rules + ") -> a"),
                            List.of()),
                    new BackendOptions(false, List.of()));
        } catch (final IOException | ConfigException e) {
            throw new AssertionError(e);
        }
        backend.start();
    }

    /** An error in the log is a fault that the back-end survived and should not have had. */
    private final class ErrorWatch extends AbstractAppender {
        ErrorWatch() {
            super("error-watch", null, null, true, Property.EMPTY_ARRAY);
        }

        void watch() {
            start();
            LoggerContext.getContext(false).getConfiguration().getRootLogger().addAppender(this, Level.ERROR, null);
        }

        @Override
        public void append(final LogEvent event) {
            failure.set("error in the log: " + event.getMessage().getFormattedMessage() + " " + event.getThrown());
        }
    }

    VhostUserSocket connect() {
        return VhostUserSocket.connect(socket, TIMEOUT);
    }

    /** Fails if any thread died or complained, or if a frame got lost in the books; with no session only. */
    void check() {
        final String why = failure.getAndSet(null);
        if (why != null) {
            throw new AssertionError(why);
        }
        final StatsReport stats = backend.stats();
        final StatsReport.PortStats port = stats.ports().get(0);
        final StatsReport.PathStats path = stats.paths().get(0);
        final long ended = port.sent().packets() + sum(port.drops()) + sum(path.drops());
        if (port.received().packets() != ended || path.packets() != ended) {
            throw new AssertionError("frames taken and frames ended differ: " + stats);
        }
    }

    private static long sum(final Map<String, Long> counts) {
        return counts.values().stream().mapToLong(Long::longValue).sum();
    }
}

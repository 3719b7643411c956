package org.mypervisor.offload;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.offload.config.Config;
import org.mypervisor.offload.config.ConfigException;
import org.mypervisor.offload.control.StatsReport;

/** A real back-end in this process, on real sockets in a folder of the test's. */
final class RunningBackend implements AutoCloseable {
    private final Path folder;
    private final Backend backend;

    private RunningBackend(final Path folder, final Backend backend) {
        this.folder = folder;
        this.backend = backend;
        backend.start();
    }

    /** Ports listen on their id's name in the folder; each may have options behind a comma: {@code "a,wait=0"}. */
    static RunningBackend withPaths(
            final Path folder, final boolean busyPoll, final List<String> ports, final String... paths) {
        return start(folder, busyPoll, ports, List.of(paths), List.of());
    }

    static RunningBackend withMiddlebox(final Path folder, final List<String> ports, final String middlebox) {
        return start(folder, false, ports, List.of(), List.of(middlebox));
    }

    private static RunningBackend start(
            final Path folder,
            final boolean busyPoll,
            final List<String> ports,
            final List<String> paths,
            final List<String> middleboxes) {
        final List<String> specs = new ArrayList<>();
        for (final String port : ports) {
            final String[] idAndOptions = port.split(",", 2);
            specs.add("id=" + idAndOptions[0] + ",type=vhost-user,path=" + folder.resolve(idAndOptions[0])
                    + (idAndOptions.length > 1 ? "," + idAndOptions[1] : ""));
        }
        return withSpecs(folder, busyPoll, specs, paths, middleboxes);
    }

    /** Ports as on the command line. */
    static RunningBackend withSpecs(
            final Path folder,
            final boolean busyPoll,
            final List<String> specs,
            final List<String> paths,
            final List<String> middleboxes) {
        try {
            return new RunningBackend(
                    folder,
                    new Backend(
                            Config.load(Optional.empty(), specs, paths, middleboxes),
                            new BackendOptions(busyPoll, List.of())));
        } catch (final ConfigException | IOException e) {
            throw new AssertionError(e.getMessage(), e);
        }
    }

    /** A VM whose NIC is this port, running and up. */
    NetDriver guest(final String port, final long features, final NetOptions options) {
        final NetDriver guest = NetDriver.launchLikeQemu(folder.resolve(port), features, options);
        // The last message of a start is not acknowledged, so the driver cannot know when the back-end obeyed it.
        await(port + " is up", () -> port(port).state().equals("up"));
        return guest;
    }

    Path socket(final String port) {
        return folder.resolve(port);
    }

    StatsReport.PortStats port(final String id) {
        return backend.stats().ports().stream()
                .filter(port -> port.id().equals(id))
                .findFirst()
                .orElseThrow();
    }

    StatsReport.PathStats path(final String text) {
        return backend.stats().paths().stream()
                .filter(path -> path.path().equals(text))
                .findFirst()
                .orElseThrow();
    }

    StatsReport stats() {
        return backend.stats();
    }

    Backend backend() {
        return backend;
    }

    /** The thread of the only worker. */
    static long workerThreadId() {
        for (final long id : ManagementFactory.getThreadMXBean().getAllThreadIds()) {
            if (ManagementFactory.getThreadMXBean()
                    .getThreadInfo(id)
                    .getThreadName()
                    .equals("worker-0")) {
                return id;
            }
        }
        throw new AssertionError("no worker thread");
    }

    /** Polls until it is so, at most five seconds. */
    static void await(final String what, final BooleanSupplier condition) {
        final long deadline = System.nanoTime() + Duration.ofSeconds(5).toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("waited in vain: " + what);
            }
            try {
                Thread.sleep(1);
            } catch (final InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    @Override
    public void close() {
        backend.close();
    }
}

package org.mypervisor.offload.cli;

import java.io.IOException;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Signal;
import jnr.posix.POSIXFactory;
import jnr.posix.SignalHandler;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.logging.log4j.core.config.Configurator;
import org.mypervisor.offload.Backend;
import org.mypervisor.offload.config.Topology;
import org.mypervisor.offload.control.ControlServer;
import org.mypervisor.offload.rules.RuleFileException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code mypervisor run}: the back-end itself, in the foreground. */
@Command(
        name = RunCommand.NAME,
        description = "Runs a back-end until SIGTERM or SIGINT.",
        mixinStandardHelpOptions = true,
        footer = {
            "",
            "SIGHUP reads the rule files again; a bad file leaves the old rules in force.",
            "",
            "Example: a firewall VM between a client and a server VM, its rules judged and its frames forwarded here:",
            "",
            "  mypervisor run --control /run/mypervisor.sock \\",
            "    --port id=client,type=vhost-user,path=/run/client.sock \\",
            "    --port id=server,type=vhost-user,path=/run/server.sock \\",
            "    --port id=fw-in,type=vhost-user,path=/run/fw-in.sock \\",
            "    --port id=fw-out,type=vhost-user,path=/run/fw-out.sock \\",
            "    --middlebox 'id=fw,inside=client:fw-in,outside=server:fw-out,offload=filter(rules=acl.rules)+wire'",
            "",
            "Each NIC of a guest then is, with the guest's memory shared (memory-backend-memfd,share=on):",
            "",
            "  -chardev socket,id=c0,path=/run/client.sock,reconnect=1 -netdev vhost-user,id=n0,chardev=c0 \\",
            "  -device virtio-net-pci,netdev=n0"
        })
final class RunCommand implements Callable<Integer> {
    static final String NAME = "run";

    private static final Logger LOG = LogManager.getLogger(RunCommand.class);

    /** How often and how long to look whether frames still move when all is done. */
    private static final int LOOK_MILLIS = 20;

    private static final int QUIET_LOOKS = 10;
    private static final int MOST_LOOKS = 250;

    @Mixin
    private TopologyOptions topologyOptions;

    @Mixin
    private RunOptions options;

    private final CountDownLatch stop = new CountDownLatch(1);

    @Override
    public Integer call() throws IOException, InterruptedException {
        Configurator.setRootLevel(options.logLevel);
        final Topology topology = topologyOptions.load();
        onSignal(Signal.SIGTERM, number -> stop.countDown());
        onSignal(Signal.SIGINT, number -> stop.countDown());
        final Backend backend = open(topology);
        try (backend;
                ControlServer control = control(backend)) {
            onSignal(Signal.SIGHUP, number -> reload(backend));
            backend.start();
            LOG.info("running{}", control == null ? "" : ", control socket " + options.control);
            CompilerThreads.endNice();
            if (options.exitWhenDone) {
                awaitDone(backend);
            } else {
                awaitStop();
            }
            LOG.info("stopping");
        }
        return options.exitWhenDone && !backend.failures().isEmpty() ? Main.FAILED : 0;
    }

    private Backend open(final Topology topology) {
        try {
            final Backend backend = new Backend(topology, options.backendOptions());
            if (options.exitWhenDone && !backend.ends()) {
                backend.close();
                throw new WrongConfigurationException(
                        "--exit-when-done: no port comes to an end; one of type pcap does,"
                                + " with read= and not loop=forever, or with size= or seconds=");
            }
            return backend;
        } catch (final IOException e) {
            throw new WrongConfigurationException(e.getMessage());
        }
    }

    private ControlServer control(final Backend backend) {
        try {
            return options.control == null ? null : new ControlServer(options.control, backend::stats, backend::rules);
        } catch (final IOException e) {
            throw new WrongConfigurationException("--control: " + e.getMessage());
        }
    }

    private void awaitStop() throws InterruptedException {
        if (options.duration == null) {
            stop.await();
        } else if (stop.await((long) (options.duration * TimeUnit.SECONDS.toNanos(1)), TimeUnit.NANOSECONDS)) {
            LOG.debug("stopped before --duration was over");
        }
    }

    /** What is still under way when the last frame of a capture is taken, in a VM for instance, may arrive. */
    private void awaitDone(final Backend backend) throws InterruptedException {
        final long begin = System.nanoTime();
        long received = 0;
        int looks = 0;
        int quietLooks = 0;
        while (quietLooks < QUIET_LOOKS && looks < MOST_LOOKS && !isOver(begin)) {
            if (stop.await(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
                return;
            }
            final long now = backend.received();
            final boolean done = backend.isDone();
            quietLooks = done && now == received ? quietLooks + 1 : 0;
            looks = done ? looks + 1 : 0;
            received = now;
        }
    }

    private boolean isOver(final long begin) {
        return options.duration != null && System.nanoTime() - begin >= options.duration * TimeUnit.SECONDS.toNanos(1);
    }

    private static void reload(final Backend backend) {
        try {
            backend.reloadRules();
            LOG.info("rule files read again");
        } catch (final RuleFileException e) {
            e.getMessage().lines().forEach(line -> LOG.warn("the old rules stay in force: {}", line));
        }
    }

    /**
     * jnr-posix has two ways: its native one would run Java code within the C signal handler, on whatever thread the
     * signal hits; its Java one goes through the JVM's signal dispatcher.
     */
    private static void onSignal(final Signal signal, final SignalHandler handler) {
        POSIXFactory.getJavaPOSIX().signal(signal, handler);
    }
}

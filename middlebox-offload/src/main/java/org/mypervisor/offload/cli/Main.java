package org.mypervisor.offload.cli;

import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.logging.log4j.LogManager;
import org.mypervisor.offload.Backend;
import org.mypervisor.vhostuser.Endpoint;
import org.mypervisor.vhostuser.Libc;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Entry point. Exit codes: 0 done, 1 failed while running, 2 wrong arguments or configuration. */
@Command(
        name = "mypervisor",
        description = {
            "A vhost-user back-end that runs a middlebox VM's filter and wire logic in the host.",
            "",
            "Start one back-end for a middlebox VM and the ports around it, then start QEMU with its NICs on the"
                    + " ports' sockets. 'mypervisor help run' shows how."
        },
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {
            RunCommand.class,
            CheckCommand.class,
            StatsCommand.class,
            CostCommand.class,
            AutoComplete.GenerateCompletion.class,
            HelpCommand.class
        },
        footer = {"", "Completion for bash and zsh: source <(mypervisor generate-completion)"})
public final class Main implements Runnable {
    private static final String NAME = "mypervisor: ";
    static final int FAILED = 1;
    static final int WRONG_ARGUMENTS = 2;

    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    private Main() {}

    public static void main(final String[] args) {
        if (List.of(args).contains(PRINT_CAPABILITIES)) {
            // The convention wants all other arguments to be ignored, so they are not even parsed.
            System.out.println(CAPABILITIES);
            return;
        }
        if (List.of(args).contains(RunCommand.NAME)) {
            prepareInParallel();
        }
        System.exit(commandLine().execute(args));
    }

    /** The guests of a restarted back-end wait: what takes long to load is loaded in two threads. */
    private static void prepareInParallel() {
        final CountDownLatch logging = new CountDownLatch(1);
        final Thread thread = new Thread(() -> prepare(logging), "prepare");
        thread.setDaemon(true);
        // The end of a process whose arguments are wrong may cut it off; other trouble comes back where it is needed.
        thread.setUncaughtExceptionHandler((ended, why) -> {});
        thread.start();
        LogManager.getLogger(Main.class);
        // A logger that is made while --log-level is set may miss it; these would be made in the other thread.
        LogManager.getLogger(Backend.class);
        LogManager.getLogger(Endpoint.class);
        logging.countDown();
    }

    private static void prepare(final CountDownLatch logging) {
        Libc.lastError();
        // Of all that is loaded, this alone does not log. Were two threads to start logging at once, the configured
        // level could come after that of --log-level.
        try {
            logging.await();
            Backend.prepare();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** What management software asks a back-end program, vhost-user specification, "Back-end program conventions". */
    private static final String PRINT_CAPABILITIES = "--print-capabilities";

    private static final String CAPABILITIES = "{\"type\":\"net\",\"features\":[]}";

    @Option(
            names = PRINT_CAPABILITIES,
            description = "Prints what kind of vhost-user back-end this is, in JSON, whatever else is asked for.")
    private boolean printCapabilities;

    static CommandLine commandLine() {
        return new CommandLine(new Main())
                .setExecutionExceptionHandler((e, commandLine, parsed) -> {
                    if (e instanceof WrongConfigurationException wrong) {
                        print(commandLine, wrong.isAtPlaces() ? "" : NAME, wrong.getMessage());
                        return WRONG_ARGUMENTS;
                    }
                    print(commandLine, NAME, e.getMessage() == null ? e.toString() : e.getMessage());
                    return FAILED;
                })
                .setParameterExceptionHandler((e, unused) -> {
                    print(e.getCommandLine(), NAME, e.getMessage());
                    final String name = e.getCommandLine().getCommandSpec().qualifiedName(" ");
                    e.getCommandLine().getErr().println("Try '" + name + " --help'.");
                    return WRONG_ARGUMENTS;
                });
    }

    private static void print(final CommandLine commandLine, final String prefix, final String message) {
        final PrintWriter err = commandLine.getErr();
        message.lines().forEach(line -> err.println(prefix + line));
    }

    @Override
    public void run() {
        throw new ParameterException(spec.commandLine(), "a command is missing: run, check, stats or cost");
    }

    /** Reads the version that the build wrote. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() throws IOException {
            try (InputStream in = Main.class.getResourceAsStream("/mypervisor.properties")) {
                final Properties properties = new Properties();
                properties.load(in);
                return new String[] {"mypervisor " + properties.getProperty("version")};
            }
        }
    }
}

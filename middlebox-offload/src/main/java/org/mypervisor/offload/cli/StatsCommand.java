package org.mypervisor.offload.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.mypervisor.offload.control.ControlClient;
import org.mypervisor.offload.control.ControlServer;
import org.mypervisor.offload.control.StatsReport;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code mypervisor stats}: a client of the control socket. */
@Command(
        name = "stats",
        description = "Prints the counters of a running back-end.",
        mixinStandardHelpOptions = true,
        footer = {
            "",
            "'received' is what came from the port into the back-end, 'sent' what went to it. 'calls' are interrupts"
                    + " raised towards the guest, 'kicks' the wake-ups by the guest.",
            "",
            "Example: mypervisor stats --control /run/mypervisor.sock --watch"
        })
final class StatsCommand implements Callable<Integer> {
    private static final int WATCH_MILLIS = 1000;
    private static final String CLEAR_SCREEN = "\033[H\033[2J";

    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    @Option(
            names = "--control",
            required = true,
            paramLabel = "SOCKET",
            description = "The socket given to 'mypervisor run --control'.")
    private Path control;

    @Option(names = "--json", description = "JSON as of GET /v1/stats instead of a table.")
    private boolean json;

    @Option(names = "--rules", description = "Hits of every rule instead: how often it was the first to match.")
    private boolean rules;

    @Option(names = "--watch", description = "Prints anew every second, with rates, until interrupted.")
    private boolean watch;

    private StatsReport before;

    @Override
    public Integer call() throws IOException, InterruptedException {
        final PrintWriter out = spec.commandLine().getOut();
        final ControlClient client = new ControlClient(control);
        out.println(text(client));
        out.flush();
        while (watch) {
            Thread.sleep(WATCH_MILLIS);
            out.println((json ? "" : CLEAR_SCREEN) + text(client));
            out.flush();
        }
        return 0;
    }

    private String text(final ControlClient client) throws IOException {
        if (json) {
            return client.get(rules ? ControlServer.RULES : ControlServer.STATS);
        }
        if (rules) {
            return StatsTable.of(client.rules());
        }
        final StatsReport now = client.stats();
        final String table = StatsTable.of(now, before);
        before = now;
        return table;
    }
}

package org.mypervisor.experiment;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Entry point. Exit codes: 0 done, 1 the report could not be written, 2 wrong arguments or input. */
@Command(
        name = "report",
        description = "Makes report.md, its plots as SVG and PNG, and cost-model.json from the runs of an experiment.",
        mixinStandardHelpOptions = true,
        footer = {
            "",
            "What was not measured is said to be so. Promises that are not met do not make it fail: its last line"
                    + " counts them.",
            "",
            "cost-model.json is what 'mypervisor cost --model' reads. It becomes the built-in one as"
                    + " middlebox-offload/src/main/resources/org/mypervisor/offload/cost/cost-model.json."
        })
final class ReportCommand implements Callable<Integer> {
    private static final int FAILED = 1;
    private static final int WRONG_INPUT = 2;

    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    @Parameters(index = "0", paramLabel = "EXPERIMENT", description = "experiment.json, as the experiment wrote it.")
    private Path experiment;

    @Parameters(index = "1", paramLabel = "FOLDER", description = "Where to write; made if it is not there.")
    private Path folder;

    private ReportCommand() {}

    public static void main(final String[] args) {
        System.exit(commandLine().execute(args));
    }

    static CommandLine commandLine() {
        return new CommandLine(new ReportCommand())
                .setExecutionExceptionHandler((e, commandLine, parsed) -> {
                    final boolean wrong = e instanceof WrongInputException;
                    commandLine.getErr().println("report: " + message(e));
                    return wrong ? WRONG_INPUT : FAILED;
                })
                .setParameterExceptionHandler((e, unused) -> {
                    e.getCommandLine().getErr().println("report: " + e.getMessage());
                    e.getCommandLine().getErr().println("Try 'report --help'.");
                    return WRONG_INPUT;
                });
    }

    private static String message(final Exception e) {
        return e instanceof WrongInputException ? e.getMessage() : e.toString();
    }

    @Override
    public Integer call() throws IOException, WrongInputException {
        spec.commandLine().getOut().println(Report.write(Experiment.read(experiment), folder));
        spec.commandLine().getOut().flush();
        return 0;
    }
}

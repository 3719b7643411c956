package org.mypervisor.offload.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code mypervisor check}: what would run, without running it. */
@Command(
        name = "check",
        description = "Checks a configuration and prints its ports and paths with every middlebox expanded.",
        mixinStandardHelpOptions = true,
        footer = {
            "",
            "Takes the options of 'run'. Exit code 0, or 2 with a line 'place: what and why' for each mistake."
        })
final class CheckCommand implements Callable<Integer> {
    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    @Mixin
    private TopologyOptions topology;

    @Mixin
    private RunOptions run;

    @Override
    public Integer call() {
        run.backendOptions();
        spec.commandLine().getOut().print(topology.load().render());
        spec.commandLine().getOut().flush();
        return 0;
    }
}

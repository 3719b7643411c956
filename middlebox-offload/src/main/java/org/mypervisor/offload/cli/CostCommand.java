package org.mypervisor.offload.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.mypervisor.offload.cost.CostModel;
import org.mypervisor.offload.cost.Load;
import org.mypervisor.offload.cost.Policy;
import org.mypervisor.offload.cost.Prediction;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.TypeConversionException;

/** {@code mypervisor cost}: asks the cost model. */
@Command(
        name = "cost",
        description = {
            "Predicts what a policy costs the host: CPU time, guest interrupts, busy CPUs.",
            "",
            "Nothing is measured and no back-end is asked. The prediction comes from a model with a few coefficients"
                    + " for every policy, fitted to measured runs.",
            "",
            "CPU time is the sum of frames judged, frames carried on, bytes copied, guest interrupts and seconds"
                    + " passed, each times its cost.",
            "",
            "Guest interrupts coalesce: there is one for every A + B x rate frames, as frames that come while the"
                    + " guest is busy need none."
        },
        mixinStandardHelpOptions = true,
        sortOptions = false,
        footer = {
            "",
            "'host CPU' is CPU time of the whole host for one offered packet, without what sender and receiver need"
                    + " by themselves. 'interrupts' are those of all middlebox guests together. 'CPUs' is what the"
                    + " load keeps busy: 0.5 is half of one CPU. All of it holds for the machine that was measured.",
            "",
            "A warning tells of values beyond those that were measured, and of loads that the machine cannot carry.",
            "",
            "A model of your own machine: qemu-scripts/experiment.sh measures, and its report writes cost-model.json.",
            "",
            "Example: what denying in the host saves when a third of 50,000 packets a second is denied",
            "  mypervisor cost --packets-per-second 50000 --denied-share 0.33"
        })
final class CostCommand implements Callable<Integer> {
    @CommandLine.Spec
    private CommandLine.Model.CommandSpec spec;

    @Option(
            names = "--packets-per-second",
            required = true,
            paramLabel = "N",
            description = "Offered packets, the denied ones among them.")
    private double packetsPerSecond;

    @Option(
            names = "--denied-share",
            paramLabel = "SHARE",
            defaultValue = "0",
            description = "Share of the packets that the rules deny, 0 to 1; default ${DEFAULT-VALUE}.")
    private double deniedShare;

    @Option(
            names = "--policy",
            paramLabel = "POLICY",
            converter = PolicyWord.class,
            completionCandidates = PolicyWord.class,
            description = "${COMPLETION-CANDIDATES}; 'traditional' is bridge, tap and QEMU without Mypervisor."
                    + " Default: all that the model knows.")
    private Policy policy;

    @Option(
            names = "--frame-bytes",
            paramLabel = "N",
            defaultValue = "64",
            description = "Length of a frame without FCS; default ${DEFAULT-VALUE}.")
    private int frameBytes;

    @Option(
            names = "--chain",
            paramLabel = "N",
            defaultValue = "1",
            description = "Middleboxes one behind the other, with the same rules; default ${DEFAULT-VALUE}.")
    private int chain;

    @Option(names = "--model", paramLabel = "FILE", description = "A cost-model.json; default: the one built in.")
    private Path file;

    @Option(names = "--json", description = "The prediction in JSON, warnings among it.")
    private boolean json;

    @Override
    public Integer call() throws IOException {
        final Load load = load();
        final CostModel model = model();
        final List<Prediction> predictions = Stream.of(Policy.values())
                .filter(each -> policy == null || each == policy)
                .flatMap(each -> model.predict(each, load).stream())
                .toList();
        if (predictions.isEmpty()) {
            throw new WrongConfigurationException("the model knows nothing of --policy " + policy + "; it has: "
                    + String.join(", ", model.policies().keySet()));
        }
        final PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(CostTable.json(load, model, predictions));
        } else {
            out.println(CostTable.of(load, model, predictions));
            final PrintWriter err = spec.commandLine().getErr();
            CostTable.warnings(predictions).forEach(warning -> err.println("mypervisor: warning: " + warning));
        }
        out.flush();
        return 0;
    }

    private Load load() {
        check(
                packetsPerSecond > 0 && packetsPerSecond < Double.POSITIVE_INFINITY,
                "--packets-per-second must be above 0");
        check(deniedShare >= 0 && deniedShare <= 1, "--denied-share must be from 0 (none) to 1 (all)");
        check(frameBytes > 0, "--frame-bytes must be above 0");
        check(chain > 0, "--chain must be at least 1");
        return new Load(packetsPerSecond, deniedShare, frameBytes, chain);
    }

    private void check(final boolean right, final String message) {
        if (!right) {
            throw new ParameterException(spec.commandLine(), message);
        }
    }

    private CostModel model() throws IOException {
        if (file == null) {
            return CostModel.builtIn()
                    .orElseThrow(() -> new WrongConfigurationException(
                            "no cost model was built in, as none was measured yet. To make one: run"
                                    + " qemu-scripts/experiment.sh, whose report writes cost-model.json; then give"
                                    + " --model FILE"));
        }
        try {
            return CostModel.read(file);
        } catch (final NoSuchFileException e) {
            throw new WrongConfigurationException("--model: there is no file " + file);
        } catch (final JsonProcessingException e) {
            throw new WrongConfigurationException("--model: " + file + " is no cost model: "
                    + e.getOriginalMessage().lines().findFirst().orElse("it cannot be read"));
        }
    }

    /** Policies by their words, which no Java name can be. */
    static final class PolicyWord implements ITypeConverter<Policy>, Iterable<String> {
        @Override
        public Policy convert(final String word) {
            return Policy.of(word)
                    .orElseThrow(
                            () -> new TypeConversionException("'" + word + "' is none of " + String.join(", ", this)));
        }

        @Override
        public Iterator<String> iterator() {
            return Arrays.stream(Policy.values()).map(Policy::toString).iterator();
        }
    }
}

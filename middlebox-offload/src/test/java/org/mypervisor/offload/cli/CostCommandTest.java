package org.mypervisor.offload.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.offload.cost.CostModel;
import picocli.CommandLine;

/** {@code mypervisor cost} on a model of round numbers. */
final class CostCommandTest {
    private static final String POLICY = """
            {"cpu": {"ns_per_judged_frame": 1000, "ns_per_allowed_frame": 0, "ns_per_byte": 0,
                     "ns_per_wake_up": 0, "ns_per_middlebox_second": 0, "wake_up_spacing_s": 0},
             "interrupts": {"most_per_cpu_second": 1e12, "fewer_per_frame": 0, "cpus": 1, "idle_per_s": 0},
             "ranges": {"packets_per_second": {"min": 1000, "max": 20000}, "denied_share": {"min": 0, "max": 1},
                        "frame_bytes": {"min": 64, "max": 1514}, "chain": {"min": 1, "max": 4}},
             "check": {"combinations": 3, "median_error": 0.04, "worst_error": 0.11}}""";

    private static final String MODEL = """
            {"measured": "2026-01-01", "machine": {"cpus": 2, "cpu_model": "a CPU", "accelerator": "tcg"},
             "policies": {"traditional": %s, "filter": %s}}""".formatted(POLICY, POLICY);

    @TempDir
    private Path folder;

    private Path model;
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeEach
    void writeModel() throws IOException {
        model = Files.writeString(folder.resolve("model.json"), MODEL);
    }

    private int cost(final String... args) {
        final String[] line = new String[args.length + 1];
        line[0] = "cost";
        System.arraycopy(args, 0, line, 1, args.length);
        final CommandLine commandLine = Main.commandLine();
        return commandLine
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(err, true))
                .execute(line);
    }

    private int costOfModel(final String... args) {
        final String[] line = new String[args.length + 2];
        line[0] = "--model";
        line[1] = model.toString();
        System.arraycopy(args, 0, line, 2, args.length);
        return cost(line);
    }

    @Test
    void shouldCompareThePoliciesOfTheModel() {
        assertEquals(0, costOfModel("--packets-per-second", "20000", "--denied-share", "0.5"), err.toString());
        assertEquals("""
                20,000 packets/s of 64 bytes, 50 % denied, 1 middlebox
                predicted for 2 CPUs (a CPU), accelerator tcg, measured 2026-01-01

                policy             host CPU     guest interrupts     CPUs    error of CPU,
                                  ns/packet    per 1,000 packets     busy   median / worst
                traditional           1,000              1,500.0    0.020         4 / 11 %
                filter                1,000              1,000.0    0.020         4 / 11 %
                """, out.toString());
        assertEquals("", err.toString());
    }

    @Test
    void shouldPrintOnePolicyAsJsonWithItsWarnings() throws IOException {
        assertEquals(0, costOfModel("--packets-per-second", "40000", "--policy", "filter", "--json"), err.toString());
        final JsonNode report = new ObjectMapper().readTree(out.toString());
        assertEquals(40000, report.at("/load/packets_per_second").asDouble());
        assertEquals(1, report.at("/predictions").size());
        assertEquals("filter", report.at("/predictions/0/policy").asText());
        assertEquals(1000, report.at("/predictions/0/cpu_ns_per_packet").asDouble());
        assertEquals(
                2000,
                report.at("/predictions/0/guest_interrupts_per_thousand_packets")
                        .asDouble(),
                1e-6);
        assertTrue(report.at("/predictions/0/warnings/0").asText().startsWith("packets per second 40000: "));
    }

    @Test
    void shouldWarnOnceOfWhatEveryPolicyShares() {
        assertEquals(0, costOfModel("--packets-per-second", "2000", "--chain", "7"), err.toString());
        assertEquals(
                "mypervisor: warning: chain 7: runs were measured from 1 to 4 only, so this is a guess\n",
                err.toString());
    }

    @Test
    void shouldSayWhatIsWrongAndEndWithTwo() throws IOException {
        for (final String[] line : new String[][] {
            {"--packets-per-second", "0", "--packets-per-second must be above 0"},
            {"--packets-per-second", "1", "--denied-share", "30", "--denied-share must be from 0 (none) to 1 (all)"},
            {"--packets-per-second", "1", "--chain", "0", "--chain must be at least 1"},
            {"--packets-per-second", "1", "--policy", "wire", "'wire' is none of traditional, none, filter, filter+wire"
            },
            {"--packets-per-second", "1", "--policy", "none", "the model knows nothing of --policy none; it has: "},
            {"--packets-per-second", "1", "--model", "nowhere", "--model: there is no file nowhere"},
            {"--denied-share", "0", "--packets-per-second"}
        }) {
            err.getBuffer().setLength(0);
            final String[] args = Arrays.copyOf(line, line.length - 1);
            final boolean ownModel = List.of(args).contains("--model");
            assertEquals(2, ownModel ? cost(args) : costOfModel(args), err.toString());
            assertTrue(err.toString().contains(line[line.length - 1]), err.toString());
        }
        Files.writeString(model, "{\"policies\": 3}");
        err.getBuffer().setLength(0);
        assertEquals(2, costOfModel("--packets-per-second", "1"));
        assertTrue(err.toString().startsWith("mypervisor: --model: " + model + " is no cost model: "), err.toString());
        assertEquals(1, err.toString().lines().count(), err.toString());
    }

    @Test
    void shouldUseTheBuiltInModelOrTellHowToGetOne() throws IOException {
        final int status = cost("--packets-per-second", "1000");
        if (CostModel.builtIn().isPresent()) {
            assertEquals(0, status, err.toString());
            return;
        }
        assertEquals(2, status);
        assertTrue(err.toString().contains("no cost model was built in"), err.toString());
        assertTrue(err.toString().contains("--model FILE"), err.toString());
    }
}

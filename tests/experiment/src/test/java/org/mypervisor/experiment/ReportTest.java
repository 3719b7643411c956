package org.mypervisor.experiment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.offload.cost.CostModel;

/** The program from its arguments to its files. */
final class ReportTest {
    private static final JsonMapper MAPPER = JsonMapper.builder()
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .build();

    /** Spelled as the experiment script spells it. */
    private static final String RUN = """
            {"arrangement": "%s", "chain": 1, "traffic": "%s", "paced": false, "frame_bytes": null, "offloads": true,
             "denied_share": 0.0, "round": %d, "seconds": 2.0, "sent": null, "delivered": 100, "denied_delivered": 0,
             "bytes": 4e9, "mbit": %s, "pps": null, "requests_per_s": 50, "latency_us": {"median": 400, "p99": 900},
             "guest_interrupts": 7, "kicks": 1, "calls": 2, "worker": {"packets": 10, "busy_ns": 1000, "bursts": 3},
             "cpu_s": {"system": 3.0, "baseline": 1.0, "net": %s, "qemu": 1.0, "mypervisor": 0.5, "echo": null,
                       "softirq": 0.1, "endpoints": 1.0}, "news": "of a later version"}""";

    @TempDir
    private Path folder;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int report(final String json) throws IOException {
        final Path file = Files.writeString(folder.resolve("experiment.json"), json);
        return ReportCommand.commandLine()
                .setOut(new PrintWriter(out, true))
                .setErr(new PrintWriter(err, true))
                .execute(file.toString(), folder.resolve("report").toString());
    }

    private String markdown() throws IOException {
        return Files.readString(folder.resolve("report/report.md"));
    }

    private static String tcp(final String arrangement, final int round, final double mbit, final double cpu) {
        return RUN.formatted(arrangement, "tcp", round, mbit, cpu);
    }

    /** CPU time is compared at a rate that all carry. */
    private static String pacedTcp(final String arrangement, final double cpu) {
        return tcp(arrangement, 1, 80, cpu).replace("\"paced\": false", "\"paced\": true, \"tries\": 2");
    }

    @Test
    void shouldCompareArrangementsWithTraditionalAndTapEcho() throws IOException {
        final String runs = String.join(
                ",",
                tcp("traditional", 1, 100, 8),
                tcp("traditional", 2, 300, 8),
                tcp("traditional", 3, 200, 9),
                tcp("tap-echo", 1, 400, 4),
                tcp("filter+wire", 1, 390, 4),
                tcp("of-tomorrow", 1, 1, 1),
                pacedTcp("traditional", 9),
                pacedTcp("filter+wire", 4));
        assertEquals(0, report("{\"runs\": [" + runs + "]}"), err.toString());
        final String report = markdown();
        for (final String line : new String[] {
            "| client TCP, filter+wire / traditional | at least 1.7 | 1.95 | met |",
            "| client TCP, filter+wire / tap-echo | at least 1 | 0.975 | **not met** |",
            "| CPU per GB, filter+wire / traditional | at most 0.5 | 0.444 | met |",
            "| CPU per million 64 B packets, filter+wire / traditional | at most 0.2 | not measured | not measured |",
            "| filter+wire | 390 | 1.95 × | 0.975 × |",
            "| traditional | 200 (100–300) | 1 × | 0.5 × |",
            "| kernel | not measured | not measured | not measured |",
            "| of-tomorrow | 1 | 0.005 × | 0.0025 × |"
        }) {
            assertTrue(report.contains(line + "\n"), line + " in\n" + report);
        }
        assertTrue(report.contains("Of 8 runs 2 were made again"), report);
        assertTrue(report.contains("![Client TCP](tcp.svg)"), report);
        assertFalse(report.contains("(nginx.svg)"), "a plot of nothing");
        assertTrue(Files.readString(folder.resolve("report/tcp.svg")).contains("<svg"));
        assertTrue(ImageIO.read(folder.resolve("report/tcp.png").toFile()).getWidth() > 800);
        assertTrue(Files.notExists(folder.resolve("report/cost-model.json")), "there is nothing to fit");
        assertTrue(out.toString().endsWith("report.md: 2 of 7 promises met, 4 not measured\n"), out.toString());
    }

    @Test
    void shouldDrawCurvesAndWriteTheModel() throws IOException {
        assertEquals(0, report(MAPPER.writeValueAsString(Synthetic.experiment(0.02))), err.toString());
        final String report = markdown();
        for (final String plot : new String[] {
            "interrupts",
            "cpu-per-million",
            "cpu-spent",
            "denied-share-cpu",
            "frame-bytes-cpu",
            "chain-interrupts",
            "model-cpu",
            "model-interrupts"
        }) {
            assertTrue(report.contains("(" + plot + ".svg)"), plot + " in\n" + report);
            assertTrue(Files.size(folder.resolve("report/" + plot + ".svg")) > 1000, plot);
            assertTrue(Files.size(folder.resolve("report/" + plot + ".png")) > 1000, plot);
        }
        assertTrue(report.contains("it has not seen, the worst policy's: CPU time | below 0.15 | 0.0"), report);
        assertTrue(report.contains("| error on held-out combinations | CPU time, mean | CPU time, worst |"), report);
        assertTrue(report.contains("paced at about 2,000 packets/s, 30 % denied, 1 middlebox, offloads on"), report);
        final CostModel model = CostModel.read(folder.resolve("report/cost-model.json"));
        assertEquals(4, model.policies().size());
        assertEquals("2026-01-01T00:00:00Z", model.measured());
    }

    /** Whatever is absent, the rest is reported. */
    @Test
    void shouldReportWhatIsLeftWhenFieldsAreMissing() throws IOException {
        final String whole = MAPPER.writeValueAsString(Synthetic.experiment(0));
        for (final String field : List.of("machine", "cpu_s", "sent", "frame_bytes")) {
            assertEquals(0, report(whole.replace("\"" + field + "\"", "\"was_" + field + "\"")), field + err);
            assertTrue(markdown().contains("not measured"), field);
        }
        assertEquals(0, report("{\"runs\": [{\"arrangement\": \"none\", \"traffic\": \"udp\"}]}"), err.toString());
        assertEquals(0, report("{\"runs\": [" + tcp("filter", 1, 0, -3) + "]}"), err.toString());
    }

    @Test
    void shouldRefuseNonsenseInOneLine() throws IOException {
        final String file = folder.resolve("experiment.json").toString();
        final List<String[]> cases = new ArrayList<>(List.of(
                new String[] {"", file + ":1:1: not the JSON of an experiment: "},
                new String[] {"\0\1\2 nonsense", file + ":1:"},
                new String[] {"[1, 2]", file + ":1:1: not the JSON of an experiment: "},
                new String[] {"{}", file + " is no experiment: it has no runs"},
                new String[] {"{\"runs\": []}", file + " is no experiment: it has no runs"},
                new String[] {"{\"runs\": [null]}", file + ": runs[0] is null"},
                new String[] {"{\"runs\": [{}]}", file + ": runs[0]: arrangement is missing"},
                new String[] {"{\"runs\":\n [{\"sent\": \"many\"}]}", file + ":2:"},
                new String[] {
                    "{\"runs\": [{\"arrangement\": \"none\", \"traffic\": \"udp\", \"denied_share\": 7}]}",
                    file + ": runs[0]: denied_share=7.0 must be from 0 to 1"
                }));
        for (final String[] each : cases) {
            err.getBuffer().setLength(0);
            assertEquals(2, report(each[0]), each[0] + err);
            assertTrue(err.toString().startsWith("report: " + each[1]), err.toString());
            assertEquals(1, err.toString().lines().count(), err.toString());
        }
        assertTrue(Files.notExists(folder.resolve("report")));
    }

    @Test
    void shouldRefuseAFileThatIsNotThereAndAFolder() {
        for (final Path wrong : List.of(folder.resolve("nowhere"), folder)) {
            err.getBuffer().setLength(0);
            final int status = ReportCommand.commandLine()
                    .setErr(new PrintWriter(err, true))
                    .execute(wrong.toString(), folder.resolve("report").toString());
            assertEquals(2, status);
            assertEquals(1, err.toString().lines().count(), err.toString());
        }
    }

    /** Decimal points stay points wherever the program runs. */
    @Test
    void shouldWriteTheSameInEveryLocale() throws IOException {
        final Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.GERMANY);
            assertEquals(0, report("{\"runs\": [" + tcp("traditional", 1, 12.5, 8) + "]}"), err.toString());
        } finally {
            Locale.setDefault(before);
        }
        assertTrue(markdown().contains("| traditional | 12.5 | 1 × | not measured |"), markdown());
    }
}

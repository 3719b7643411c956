package org.mypervisor.experiment;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.DoubleStream;
import org.mypervisor.offload.cost.Policy;

/** What the report says of the cost model: its coefficients, and what it predicted beside what was measured. */
final class ModelSection {
    private final CostFit fit;
    private final Charts charts;

    ModelSection(final CostFit fit, final Charts charts) {
        this.fit = fit;
        this.charts = charts;
    }

    void write(final Markdown report) throws IOException {
        report.heading(2, "Cost model");
        report.paragraph(
                "Fitted to paced UDP runs by weighted least squares with coefficients of at least 0. Held out of the"
                        + " fit: in the order of chain, denied share, frame size and rate every third combination that has"
                        + " not alone the smallest or largest value of one of them. Errors are those of held-out"
                        + " combinations.");
        if (!fit.notes().isEmpty()) {
            fit.notes().forEach(note -> report.paragraph("Note: " + note + "."));
        }
        if (fit.model().policies().isEmpty()) {
            report.paragraph("No model: " + Numbers.NOT_MEASURED + ".");
            return;
        }
        coefficients(report);
        plot(report, "model-cpu", "CPU time, predicted and measured", "CPU ns/packet", compared -> new double[] {
            compared.sample().cpuNsPerPacket().orElseThrow(),
            compared.prediction().cpuNsPerPacket()
        });
        plot(
                report,
                "model-interrupts",
                "Guest interrupts, predicted and measured",
                "guest interrupts per 1,000 packets",
                compared -> new double[] {
                    1000 * compared.sample().interruptsPerPacket().orElse(0),
                    compared.prediction().guestInterruptsPerThousandPackets()
                });
        comparisons(report);
    }

    private void coefficients(final Markdown report) {
        report.heading(3, "Coefficients");
        final List<List<String>> rows = new ArrayList<>();
        fit.model()
                .policies()
                .forEach((policy, cost) -> rows.add(List.of(
                        policy,
                        Numbers.text(cost.cpu().nsPerJudgedFrame()),
                        Numbers.text(cost.cpu().nsPerAllowedFrame()),
                        Numbers.text(cost.cpu().nsPerByte()),
                        Numbers.text(cost.cpu().nsPerWakeUp()),
                        Numbers.text(cost.cpu().wakeUpSpacingS() * 1e6),
                        Numbers.text(cost.cpu().nsPerMiddleboxSecond() / 1e6),
                        Numbers.text(cost.interrupts().mostPerCpuSecond()),
                        Numbers.text(cost.interrupts().fewerPerFrame()),
                        Numbers.text(cost.interrupts().cpus()),
                        Numbers.text(cost.interrupts().idlePerS()))));
        report.table(
                List.of(
                        "policy",
                        "ns per frame judged",
                        "ns per frame carried on",
                        "ns per byte copied",
                        "ns per wake-up",
                        "µs between wake-ups, fast",
                        "ms per middlebox and second",
                        "interrupts that a CPU has time for in a second",
                        "fewer for each frame",
                        "CPUs of several guests",
                        "interrupts per second, idle"),
                rows);
    }

    private void plot(
            final Markdown report,
            final String name,
            final String title,
            final String unit,
            final Function<CostFit.Compared, double[]> values)
            throws IOException {
        final Map<String, List<double[]>> series = new LinkedHashMap<>();
        for (final CostFit.Compared compared : fit.compared()) {
            if (compared.heldOut()) {
                series.computeIfAbsent(compared.sample().policy().toString(), policy -> new ArrayList<>())
                        .add(values.apply(compared));
            }
        }
        if (charts.scatter(name, title, unit, series).isPresent()) {
            report.image(title, name);
        }
    }

    private void errors(final Markdown report) {
        final Map<Policy, double[]> cpu = fit.cpuErrors();
        final Map<Policy, double[]> interrupts = fit.interruptErrors();
        final List<List<String>> rows = new ArrayList<>();
        for (final Policy policy : cpu.keySet()) {
            if (cpu.get(policy).length != 0) {
                rows.add(List.of(
                        policy.toString(),
                        Numbers.percent(DoubleStream.of(cpu.get(policy)).average()),
                        Numbers.percent(Numbers.max(cpu.get(policy))),
                        Numbers.percent(DoubleStream.of(interrupts.get(policy)).average()),
                        Numbers.percent(Numbers.max(interrupts.get(policy)))));
            }
        }
        if (!rows.isEmpty()) {
            report.table(
                    List.of(
                            "error on held-out combinations",
                            "CPU time, mean",
                            "CPU time, worst",
                            "guest interrupts, mean",
                            "guest interrupts, worst"),
                    rows);
        }
    }

    private void comparisons(final Markdown report) {
        report.heading(3, "Held-out combinations");
        errors(report);
        final List<List<String>> rows = fit.compared().stream()
                .filter(CostFit.Compared::heldOut)
                .map(compared -> List.of(
                        compared.sample().policy() + ": "
                                + compared.sample().point().describe(),
                        Numbers.text(compared.sample().cpuNsPerPacket()),
                        Numbers.text(compared.prediction().cpuNsPerPacket()),
                        Numbers.text(100 * compared.cpuError()) + " %",
                        Numbers.text(
                                1000 * compared.sample().interruptsPerPacket().orElse(Double.NaN)),
                        Numbers.text(compared.prediction().guestInterruptsPerThousandPackets()),
                        compared.interruptError().isEmpty() ? "" : Numbers.percent(compared.interruptError())))
                .toList();
        if (rows.isEmpty()) {
            report.paragraph("None: too few combinations were measured to keep any from the fit.");
            return;
        }
        report.table(
                List.of(
                        "combination",
                        "CPU ns/packet, measured",
                        "predicted",
                        "error",
                        "interrupts per 1,000 packets, measured",
                        "predicted",
                        "error"),
                rows);
    }
}

package org.mypervisor.experiment;

import java.awt.Color;
import java.awt.Font;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.DoubleStream;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.internal.chartpart.Chart;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws plots, each as SVG and as PNG. A value is null where nothing was measured. */
final class Charts {
    private static final int WIDTH = 960;
    private static final int HEIGHT = 460;
    private static final int DPI = 144;

    /** Values further apart than this need a logarithmic axis to be seen side by side. */
    private static final double LOGARITHMIC_FROM = 20;

    /** Okabe and Ito's, which colour-blind people can tell apart. */
    private static final Color[] COLOURS = {
        new Color(0x4D4D4D),
        new Color(0x56B4E9),
        new Color(0xCC79A7),
        new Color(0xD55E00),
        new Color(0xE69F00),
        new Color(0x009E73),
        new Color(0x0072B2)
    };

    /** For what is no arrangement. */
    private static final Color[] BARS = {COLOURS[6], COLOURS[4], COLOURS[5], COLOURS[3], COLOURS[2], COLOURS[1]};

    private static final Font LABELS = new Font(Font.SANS_SERIF, Font.PLAIN, 11);

    private final Path folder;
    private final List<String> arrangements;

    /** @param arrangements each of which has the same colour in all plots */
    Charts(final Path folder, final List<String> arrangements) {
        this.folder = folder;
        this.arrangements = arrangements;
    }

    /** Bars side by side: for every category one of each series. */
    Optional<String> bars(
            final String name, final String title, final String unit, final Map<String, Map<String, Double>> series)
            throws IOException {
        return bars(name, title, unit, series, false);
    }

    /** Bars one upon the other. */
    Optional<String> stacked(
            final String name, final String title, final String unit, final Map<String, Map<String, Double>> series)
            throws IOException {
        return bars(name, title, unit, series, true);
    }

    private Optional<String> bars(
            final String name,
            final String title,
            final String unit,
            final Map<String, Map<String, Double>> series,
            final boolean stacked)
            throws IOException {
        final List<String> categories = series.values().stream()
                .flatMap(values -> values.entrySet().stream())
                .filter(entry -> entry.getValue() != null)
                .map(Map.Entry::getKey)
                .distinct()
                .toList();
        if (categories.isEmpty()) {
            return Optional.empty();
        }
        final CategoryChart chart = new CategoryChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title)
                .yAxisTitle(unit)
                .build();
        style(chart.getStyler());
        chart.getStyler().setStacked(stacked);
        chart.getStyler().setAvailableSpaceFill(0.6);
        chart.getStyler().setLegendVisible(series.size() > 1);
        chart.getStyler().setPlotGridVerticalLinesVisible(false);
        final boolean logarithmic = !stacked && scaleY(chart.getStyler(), all(series));
        final Double bottom = logarithmic ? chart.getStyler().getYAxisMin() : Double.valueOf(0);
        final List<String> labels = categories.stream()
                .map(category -> label(category, series, logarithmic))
                .toList();
        series.forEach((label, values) -> chart.addSeries(
                label,
                labels,
                categories.stream()
                        .map(values::get)
                        // A bar of no height where there is nothing to show: the library loses count at missing ones.
                        .map(value -> value == null || logarithmic && value < bottom ? bottom : value)
                        .toList()));
        return Optional.of(save(name, chart));
    }

    /** A logarithmic axis has no 0, so the label tells of it; one bar alone is labelled with its value. */
    private static String label(
            final String category, final Map<String, Map<String, Double>> series, final boolean logarithmic) {
        final boolean none =
                series.values().stream().allMatch(values -> values.get(category) != null && values.get(category) <= 0);
        if (series.size() == 1) {
            final Double value = series.values().iterator().next().get(category);
            return category + ": " + Numbers.text(value);
        }
        return logarithmic && none ? category + ": 0" : category;
    }

    /** Curves; the keys of a series are its x values in ascending order. */
    Optional<String> lines(
            final String name,
            final String title,
            final String xTitle,
            final String unit,
            final Map<String, ? extends Map<Double, Double>> series)
            throws IOException {
        final XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title)
                .xAxisTitle(xTitle)
                .yAxisTitle(unit)
                .build();
        style(chart.getStyler());
        final boolean logarithmic = scaleY(chart.getStyler(), all(series));
        boolean isCurve = false;
        for (final Map.Entry<String, ? extends Map<Double, Double>> entry : series.entrySet()) {
            final List<Map.Entry<Double, Double>> points = entry.getValue().entrySet().stream()
                    .filter(point -> point.getValue() != null && !(logarithmic && point.getValue() <= 0))
                    .toList();
            if (!points.isEmpty()) {
                isCurve |= points.size() > 1;
                add(
                        chart,
                        entry.getKey(),
                        points.stream().map(Map.Entry::getKey).toList(),
                        points.stream().map(Map.Entry::getValue).toList());
            }
        }
        return isCurve ? Optional.of(save(name, chart)) : Optional.empty();
    }

    /** Predicted over measured, both axes logarithmic, with the line on which both are equal. */
    Optional<String> scatter(
            final String name, final String title, final String unit, final Map<String, List<double[]>> series)
            throws IOException {
        final XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title)
                .xAxisTitle("measured " + unit)
                .yAxisTitle("predicted " + unit)
                .build();
        style(chart.getStyler());
        chart.getStyler().setDefaultSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
        final double[] values = series.values().stream()
                .flatMap(List::stream)
                .flatMapToDouble(DoubleStream::of)
                .filter(value -> value > 0)
                .toArray();
        if (values.length == 0) {
            return Optional.empty();
        }
        final double min = decadeBelow(DoubleStream.of(values).min().orElseThrow());
        final double max = decadeAbove(DoubleStream.of(values).max().orElseThrow());
        chart.getStyler().setXAxisTickLabelsFormattingFunction(Numbers::text);
        chart.getStyler().setXAxisLogarithmic(true).setXAxisMin(min).setXAxisMax(max);
        chart.getStyler().setYAxisLogarithmic(true).setYAxisMin(min).setYAxisMax(max);
        for (final Map.Entry<String, List<double[]>> entry : series.entrySet()) {
            final List<double[]> positive = entry.getValue().stream()
                    .filter(pair -> pair[0] > 0 && pair[1] > 0)
                    .toList();
            if (!positive.isEmpty()) {
                add(
                        chart,
                        entry.getKey(),
                        positive.stream().map(pair -> pair[0]).toList(),
                        positive.stream().map(pair -> pair[1]).toList());
            }
        }
        chart.addSeries("equal", new double[] {min, max}, new double[] {min, max})
                .setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Line)
                .setMarker(SeriesMarkers.NONE)
                .setLineColor(Color.GRAY);
        return Optional.of(save(name, chart));
    }

    private void add(final XYChart chart, final String name, final List<Double> xs, final List<Double> ys) {
        final Color colour = COLOURS[Math.max(0, arrangements.indexOf(name)) % COLOURS.length];
        chart.addSeries(name, xs, ys)
                .setMarker(SeriesMarkers.CIRCLE)
                .setMarkerColor(colour)
                .setLineColor(colour);
    }

    private static void style(final AxesChartStyler styler) {
        styler.setChartBackgroundColor(Color.WHITE);
        styler.setSeriesColors(BARS);
        styler.setLegendPosition(Styler.LegendPosition.OutsideE);
        styler.setPlotBorderVisible(false);
        styler.setLocale(Locale.ROOT);
        styler.setAxisTickLabelsFont(LABELS);
        styler.setYAxisTickLabelsFormattingFunction(Numbers::text);
    }

    /** Logarithmic from decade to decade where values are far apart, else from 0. */
    private static boolean scaleY(final AxesChartStyler styler, final double[] values) {
        final double[] positive =
                DoubleStream.of(values).filter(value -> value > 0).toArray();
        if (positive.length == 0 || DoubleStream.of(values).anyMatch(value -> value < 0)) {
            return false;
        }
        final double min = DoubleStream.of(positive).min().orElseThrow();
        final double max = DoubleStream.of(positive).max().orElseThrow();
        if (max / min < LOGARITHMIC_FROM) {
            styler.setYAxisMin(0.0);
            return false;
        }
        styler.setYAxisLogarithmic(true).setYAxisMin(decadeBelow(min)).setYAxisMax(decadeAbove(max));
        styler.setYAxisLogarithmicDecadeOnly(true);
        return true;
    }

    /** Somewhat below, so that the smallest bar has a height. */
    private static double decadeBelow(final double value) {
        return Math.pow(10, Math.floor(Math.log10(value * 0.8)));
    }

    private static double decadeAbove(final double value) {
        return Math.pow(10, Math.ceil(Math.log10(value)));
    }

    private static double[] all(final Map<String, ? extends Map<?, Double>> series) {
        final List<Double> all = new ArrayList<>();
        series.values()
                .forEach(values ->
                        values.values().stream().filter(value -> value != null).forEach(all::add));
        return all.stream().mapToDouble(Double::doubleValue).toArray();
    }

    private String save(final String name, final Chart<?, ?> chart) throws IOException {
        final String file = folder.resolve(name).toString();
        ChartEncoder.saveChart(chart, file, "svg");
        BitmapEncoder.saveBitmapWithDPI(chart, file + ".png", BitmapEncoder.BitmapFormat.PNG, DPI);
        return name;
    }
}

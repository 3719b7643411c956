package org.mypervisor.experiment;

import java.util.List;

/** A growing Markdown text. */
final class Markdown {
    private final StringBuilder text = new StringBuilder();

    Markdown heading(final int level, final String title) {
        return line("#".repeat(level) + " " + title).line("");
    }

    Markdown paragraph(final String words) {
        return line(words).line("");
    }

    /** The first column is text, the others are numbers. */
    Markdown table(final List<String> header, final List<List<String>> rows) {
        row(header);
        row(header.stream()
                .map(title -> title.equals(header.get(0)) ? "---" : "---:")
                .toList());
        rows.forEach(this::row);
        return line("");
    }

    Markdown image(final String title, final String name) {
        return paragraph("![%s](%s.svg)".formatted(title, name));
    }

    private void row(final List<String> cells) {
        line("| "
                + String.join(
                        " | ",
                        cells.stream().map(cell -> cell.replace("|", "\\|")).toList())
                + " |");
    }

    private Markdown line(final String line) {
        text.append(line).append('\n');
        return this;
    }

    @Override
    public String toString() {
        return text.toString().stripTrailing() + "\n";
    }
}

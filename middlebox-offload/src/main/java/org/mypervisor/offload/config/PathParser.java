package org.mypervisor.offload.config;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.offload.rules.Place;

/** Reads {@code a -> element(key=value) -> b} and {@code a <-> b}. */
final class PathParser {
    private static final String ONE_WAY = "->";
    private static final String BOTH_WAYS = "<->";
    private static final String EXAMPLE = "'a -> filter(rules=FILE) -> b' or 'a <-> b'";

    private record Arrow(String text, Place place) {}

    private final SpecText spec;
    private final Mistakes mistakes;
    private final List<SpecText> stops = new ArrayList<>();
    private final List<Arrow> arrows = new ArrayList<>();

    private PathParser(final SpecText spec, final Mistakes mistakes) {
        this.spec = spec;
        this.mistakes = mistakes;
    }

    /** The path, or empty after a mistake, which is collected. */
    static Optional<PathSpec> parse(final SpecText spec, final Mistakes mistakes) {
        return new PathParser(spec, mistakes).parse();
    }

    private Optional<PathSpec> parse() {
        final int unbalanced = spec.unbalanced();
        if (unbalanced >= 0) {
            mistakes.add(spec.at(unbalanced), "this parenthesis has no partner");
            return Optional.empty();
        }
        cutAtArrows();
        if (arrows.isEmpty()) {
            mistakes.add(spec.trimmed().place(), spec.quoted() + " is no path: write " + EXAMPLE);
            return Optional.empty();
        }
        if (!arrowsAgree()) {
            return Optional.empty();
        }
        final Word source = port(stops.get(0), "begins");
        final List<ElementSpec> elements = new ArrayList<>();
        for (final SpecText stop : stops.subList(1, stops.size() - 1)) {
            element(stop, mistakes).ifPresent(elements::add);
        }
        final Word destination = port(stops.get(stops.size() - 1), "ends");
        final boolean complete = source != null && destination != null && elements.size() == stops.size() - 2;
        return complete
                ? Optional.of(new PathSpec(
                        source,
                        List.copyOf(elements),
                        destination,
                        arrows.get(0).text.equals(BOTH_WAYS)))
                : Optional.empty();
    }

    private void cutAtArrows() {
        final String text = spec.text();
        int depth = 0;
        int start = 0;
        for (int i = 0; i < text.length(); i++) {
            depth += SpecText.nesting(text.charAt(i));
            final String arrow = depth == 0 ? arrowAt(text, i) : "";
            if (!arrow.isEmpty()) {
                stops.add(spec.slice(start, i).trimmed());
                arrows.add(new Arrow(arrow, spec.at(i)));
                start = i + arrow.length();
                i = start - 1;
            }
        }
        stops.add(spec.slice(start, text.length()).trimmed());
    }

    private static String arrowAt(final String text, final int index) {
        for (final String arrow : List.of(BOTH_WAYS, ONE_WAY, "<-")) {
            if (text.startsWith(arrow, index)) {
                return arrow;
            }
        }
        return "";
    }

    private boolean arrowsAgree() {
        final String first = arrows.get(0).text;
        for (final Arrow arrow : arrows) {
            if (arrow.text.equals("<-")) {
                mistakes.add(
                        arrow.place, "paths are written in the direction of the frames: turn it round and use '->'");
                return false;
            }
            if (!arrow.text.equals(first)) {
                mistakes.add(arrow.place, "this path mixes '->' and '<->'; use one of them all along");
                return false;
            }
        }
        return true;
    }

    private Word port(final SpecText stop, final String verb) {
        if (stop.isEmpty()) {
            mistakes.add(stop.place(), "a path " + verb + " with the id of a port: write " + EXAMPLE);
            return null;
        }
        if (stop.text().indexOf('(') >= 0) {
            mistakes.add(
                    stop.place(),
                    "a path " + verb + " with the id of a port, not with the element " + stop.quoted() + ": write "
                            + EXAMPLE);
            return null;
        }
        return KeyValues.id(stop, mistakes);
    }

    /** Reads {@code name} or {@code name(key=value,…)}; empty after a mistake, which is collected. */
    static Optional<ElementSpec> element(final SpecText stop, final Mistakes mistakes) {
        final int open = stop.text().indexOf('(');
        final SpecText name = open < 0 ? stop : stop.slice(0, open).trimmed();
        if (!name.text().matches("[A-Za-z][A-Za-z0-9._-]*")) {
            final String found = stop.isEmpty() ? "nothing" : stop.quoted();
            mistakes.add(stop.place(), "expected an element like filter(rules=FILE) here, not " + found);
            return Optional.empty();
        }
        KeyValues arguments = new KeyValues(name.place(), mistakes);
        if (open >= 0) {
            final int close = stop.text().lastIndexOf(')');
            final SpecText inner = stop.slice(open + 1, close).trimmed();
            final SpecText rest = stop.slice(close + 1, stop.text().length()).trimmed();
            if (!rest.isEmpty()) {
                mistakes.add(rest.place(), "unexpected " + rest.quoted() + " behind the element's arguments");
                return Optional.empty();
            }
            arguments = inner.isEmpty() ? arguments : KeyValues.of(inner, mistakes);
        }
        return Optional.of(new ElementSpec(name.text(), arguments.arguments(), name.place(), stop.folder()));
    }
}

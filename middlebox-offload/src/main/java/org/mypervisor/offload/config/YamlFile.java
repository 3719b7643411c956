package org.mypervisor.offload.config;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.IntFunction;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.offload.rules.Place;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.SourceText;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.events.CollectionStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.events.ScalarEvent;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * Reads the configuration file: a YAML 1.2 mapping with the lists {@code ports}, {@code paths} and {@code middleboxes}.
 * An entry is the same text as on the command line; ports and middleboxes may instead be mappings with the same keys.
 * It walks the node graph rather than objects, because nodes know their line and column, and because scalars there are
 * still the text that the user wrote ({@code 0660}, {@code off}).
 */
final class YamlFile {
    private static final List<String> LISTS = List.of("ports", "paths", "middleboxes");

    private final String name;
    private final Path folder;
    private final Mistakes mistakes;
    private final Specs specs;

    private YamlFile(final Path file, final Specs specs, final Mistakes mistakes) {
        this.name = file.toString();
        this.folder = file.getParent() == null ? Path.of("") : file.getParent();
        this.specs = specs;
        this.mistakes = mistakes;
    }

    /** Adds the file's entries. */
    static void read(final Path file, final Specs specs, final Mistakes mistakes) {
        try {
            new YamlFile(file, specs, mistakes).read(SourceText.read(file));
        } catch (final RuleFileException e) {
            e.mistakes().forEach(mistakes::add);
        }
    }

    private void read(final String text) {
        compose(text).filter(node -> !isNull(node)).ifPresent(this::lists);
    }

    /** The file's root, if it has one and is YAML. */
    private Optional<Node> compose(final String text) {
        final LoadSettings settings = LoadSettings.builder().setLabel(name).build();
        try {
            return new Compose(settings).composeString(text);
        } catch (final MarkedYamlEngineException e) {
            final Place place = e.getProblemMark().map(this::place).orElse(new Place(name, 1, 1));
            mistakes.add(place, "this is not YAML: " + e.getProblem());
        } catch (final YamlEngineException e) {
            mistakes.add(new Place(name, 1, 1), "this is not YAML: " + e.getMessage());
        } catch (final IllegalArgumentException e) {
            // The parser takes tags like '!%20' that cannot be those of a node, and the composer then does not say
            // where.
            mistakes.add(placeOfBadTag(text, settings), "a tag like this is not allowed in YAML; remove it");
        }
        return Optional.empty();
    }

    private Place placeOfBadTag(final String text, final LoadSettings settings) {
        for (final Event event : new Parse(settings).parseString(text)) {
            final Optional<String> tag = event instanceof ScalarEvent scalar
                    ? scalar.getTag()
                    : event instanceof CollectionStartEvent start ? start.getTag() : Optional.empty();
            if (tag.isPresent() && !tag.get().equals(tag.get().trim())) {
                return event.getStartMark().map(this::place).orElse(new Place(name, 1, 1));
            }
        }
        return new Place(name, 1, 1);
    }

    private void lists(final Node root) {
        if (!(root instanceof MappingNode mapping)) {
            mistakes.add(place(root), "expected a mapping with the lists " + String.join(", ", LISTS));
            return;
        }
        final Map<String, Place> seen = new HashMap<>();
        for (final NodeTuple pair : mapping.getValue()) {
            final SpecText key = scalar(pair.getKeyNode(), "a key");
            if (key == null) {
                continue;
            }
            final Place earlier = seen.putIfAbsent(key.text(), key.place());
            if (earlier != null) {
                mistakes.add(
                        key.place(), key.quoted() + " was already given at " + earlier + "; put both into one list");
            } else if (!LISTS.contains(key.text())) {
                mistakes.add(
                        key.place(),
                        "unknown key " + key.quoted() + "; there are " + String.join(", ", LISTS)
                                + Mistake.suggest(key.text(), LISTS));
            } else {
                entries(key.text(), pair.getValueNode());
            }
        }
    }

    private void entries(final String list, final Node node) {
        if (isNull(node)) {
            return;
        }
        if (!(node instanceof SequenceNode sequence)) {
            mistakes.add(place(node), "'" + list + "' is a list; begin each entry with '- '");
            return;
        }
        for (final Node entry : sequence.getValue()) {
            if (list.equals("paths")) {
                final SpecText path = scalar(entry, "a path like 'a -> filter(rules=FILE) -> b'");
                if (path != null) {
                    specs.paths.add(path);
                }
            } else {
                final KeyValues keys = keyValues(entry);
                if (keys != null) {
                    (list.equals("ports") ? specs.ports : specs.middleboxes).add(keys);
                }
            }
        }
    }

    private KeyValues keyValues(final Node entry) {
        if (!(entry instanceof MappingNode mapping)) {
            final SpecText text = scalar(entry, "key=value,key=value or a mapping");
            return text == null ? null : KeyValues.of(text, mistakes);
        }
        final KeyValues keys = new KeyValues(place(entry), mistakes);
        for (final NodeTuple pair : mapping.getValue()) {
            final SpecText key = scalar(pair.getKeyNode(), "a key");
            final SpecText value = key == null ? null : scalar(pair.getValueNode(), "one value");
            if (value != null) {
                keys.put(key.word(), value);
            }
        }
        return keys;
    }

    /** The text of a scalar, or null with a complaint about what was expected. */
    private SpecText scalar(final Node node, final String expected) {
        if (node instanceof ScalarNode scalar) {
            final String value = isNull(node) ? "" : scalar.getValue();
            return new SpecText(value, 0, places(scalar, value.length()), folder);
        }
        mistakes.add(place(node), "expected " + expected + " here");
        return null;
    }

    /**
     * Where the characters of a scalar stand: exact if it was written on one line without escapes, else all of them
     * where it begins.
     */
    private IntFunction<Place> places(final ScalarNode scalar, final int length) {
        final Place start = place(scalar);
        final Mark from = scalar.getStartMark().orElse(null);
        final Mark to = scalar.getEndMark().orElse(null);
        final int quotes = scalar.getScalarStyle() == ScalarStyle.PLAIN ? 0 : 2;
        final boolean asWritten = from != null
                && to != null
                && from.getLine() == to.getLine()
                && to.getColumn() - from.getColumn() == length + quotes;
        return asWritten ? index -> start.plus(index + quotes / 2) : index -> start;
    }

    private Place place(final Node node) {
        return node.getStartMark().map(this::place).orElse(new Place(name, 1, 1));
    }

    private Place place(final Mark mark) {
        return new Place(name, mark.getLine() + 1, mark.getColumn() + 1);
    }

    private static boolean isNull(final Node node) {
        return node instanceof ScalarNode && node.getTag().equals(Tag.NULL);
    }
}

package org.mypervisor.offload.config;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.offload.rules.Place;

/**
 * The keys of one port, middlebox or element with their values, from {@code key=value,key=value} or from a YAML mapping.
 * Mistakes are collected, and the methods answer with a default so that the reading goes on.
 */
final class KeyValues {
    private record Value(SpecText text, Place key) {}

    private final Place place;
    private final Mistakes mistakes;
    private final Map<String, Value> values = new LinkedHashMap<>();
    /** Set if the text could not be cut into keys, so that nothing can be said about missing ones. */
    private boolean illegible;

    KeyValues(final Place place, final Mistakes mistakes) {
        this.place = place;
        this.mistakes = mistakes;
    }

    /** Reads {@code key=value,…}. */
    static KeyValues of(final SpecText spec, final Mistakes mistakes) {
        final KeyValues read = new KeyValues(spec.place(), mistakes);
        final int unbalanced = spec.unbalanced();
        if (unbalanced >= 0) {
            mistakes.add(spec.at(unbalanced), "this parenthesis has no partner");
            read.illegible = true;
            return read;
        }
        for (final SpecText item : spec.split(',')) {
            final int equals = item.text().indexOf('=');
            if (item.isEmpty()) {
                mistakes.add(item.place(), "expected key=value here; is there a comma too many?");
            } else if (equals <= 0) {
                mistakes.add(item.place(), "expected key=value, not " + item.quoted());
            } else {
                final SpecText key = item.slice(0, equals).trimmed();
                read.put(
                        key.word(), item.slice(equals + 1, item.text().length()).trimmed());
            }
        }
        return read;
    }

    void put(final Word key, final SpecText value) {
        final Value earlier = values.putIfAbsent(key.text(), new Value(value, key.place()));
        if (earlier != null) {
            mistakes.add(key.place(), Mistake.quote(key.text()) + " was already given at " + earlier.key);
        }
        if (value.isEmpty()) {
            mistakes.add(value.place(), Mistake.quote(key.text()) + " has no value");
        }
    }

    /** Complains about each key that is not one of these. */
    void expectOnly(final String owner, final Collection<String> known) {
        values.forEach((key, value) -> {
            if (!known.contains(key)) {
                mistakes.add(
                        value.key,
                        "a " + owner + " has no key " + Mistake.quote(key) + "; it has " + String.join(", ", known)
                                + Mistake.suggest(key, known));
            }
        });
    }

    /** The value, or null if it is not there; a value without text counts as not there, and was complained about. */
    SpecText optional(final String key) {
        final Value value = values.get(key);
        return value == null || value.text.isEmpty() ? null : value.text;
    }

    /** The value, or null with a complaint that shows what to write. */
    SpecText required(final String key, final String owner, final String example) {
        if (!values.containsKey(key) && !illegible) {
            mistakes.add(place, "the " + owner + " has no '" + key + "'; add " + key + "=" + example);
        }
        return optional(key);
    }

    String text(final String key, final String otherwise) {
        final SpecText value = optional(key);
        return value == null ? otherwise : value.text();
    }

    boolean onOff(final String key, final boolean otherwise) {
        return choice(key, List.of("on", "off"), otherwise ? "on" : "off").equals("on");
    }

    String choice(final String key, final List<String> choices, final String otherwise) {
        final SpecText value = optional(key);
        if (value == null) {
            return otherwise;
        }
        if (!choices.contains(value.text())) {
            mistakes.add(
                    value.place(),
                    "'" + key + "' is " + String.join(" or ", choices) + ", not " + value.quoted()
                            + Mistake.suggest(value.text(), choices));
            return otherwise;
        }
        return value.text();
    }

    int number(final String key, final int least, final int most, final int otherwise) {
        final SpecText value = optional(key);
        if (value == null) {
            return otherwise;
        }
        final long number = value.text().matches("[0-9]{1,9}") ? Long.parseLong(value.text()) : -1;
        if (number < least || number > most) {
            mistakes.add(
                    value.place(),
                    "'" + key + "' is a number from " + least + " to " + most + ", not " + value.quoted());
            return otherwise;
        }
        return (int) number;
    }

    /** An id that can stand in a path, or null. */
    static Word id(final SpecText value, final Mistakes mistakes) {
        if (value == null) {
            return null;
        }
        if (!value.text().matches("[A-Za-z][A-Za-z0-9._-]{0,63}")) {
            mistakes.add(
                    value.place(),
                    value.quoted() + " is no id: a letter and up to 63 letters, digits, '-', '.'" + " or '_'");
            return null;
        }
        return value.word();
    }

    Map<String, ElementSpec.Argument> arguments() {
        final Map<String, ElementSpec.Argument> arguments = new LinkedHashMap<>();
        values.forEach((key, value) -> arguments.put(key, new ElementSpec.Argument(value.key, value.text.word())));
        return arguments;
    }

    Place place() {
        return place;
    }
}

package org.mypervisor.offload;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.RuleFormat;
import org.mypervisor.offload.rules.RuleSet;

/**
 * The one table from an element's name in a path to its constructor. It checks the arguments when the configuration is
 * read and makes a fresh element for each queue later; a rule file is read once, however many elements use it.
 *
 * <p>One instance serves one configuration. Used by control threads, one at a time; only the elements it makes run on
 * workers.
 */
public final class Elements {
    /** An element with checked arguments, ready to be made as often as there are queues. */
    public interface Recipe {
        Element make();
    }

    /** Makes a recipe out of checked argument names and their values. */
    private interface Maker {
        Recipe prepare(Elements elements, Map<String, String> arguments, Path folder)
                throws ArgumentException, RuleFileException;
    }

    private record Entry(Set<String> arguments, Maker maker) {}

    private static final Map<String, Entry> TABLE = new TreeMap<>(Map.of(
            "filter", new Entry(Set.of("rules", "format", "action"), Elements::filter),
            "count", new Entry(Set.of(), (elements, arguments, folder) -> CountElement::new)));

    /** Names the argument of an element that is wrong; the empty name is the element itself. */
    public static final class ArgumentException extends Exception {
        private static final long serialVersionUID = 1L;

        private final String argument;
        private final boolean unknown;

        private ArgumentException(final String argument, final boolean unknown, final String text) {
            super(text);
            this.argument = argument;
            this.unknown = unknown;
        }

        private ArgumentException(final String argument, final String text) {
            this(argument, false, text);
        }

        /** Whether there is no such argument; else its value is wrong. */
        public boolean isUnknown() {
            return unknown;
        }

        public String argument() {
            return argument;
        }
    }

    /** A file and how to read it. */
    private record Source(Path file, RuleFormat format) {
        RuleSet load() throws RuleFileException {
            return format.load(file);
        }
    }

    /** The rules of one file now in force, and the elements that judge by them. */
    private static final class Rules {
        private RuleSet set;
        private final List<FilterElement> users = new ArrayList<>();

        private FilterElement makeElement() {
            final FilterElement element = new FilterElement(set);
            users.add(element);
            return element;
        }
    }

    private final Map<Source, Rules> ruleFiles = new LinkedHashMap<>();

    /** Names of all elements. */
    public static Set<String> names() {
        return TABLE.keySet();
    }

    /**
     * Checks an element's arguments.
     *
     * @param name a name of {@link #names}
     * @param arguments values by name
     * @param folder where relative file names begin
     * @throws ArgumentException with the first argument that is unknown, missing, or names a file that is not there
     * @throws RuleFileException if its rule file has mistakes
     */
    public Recipe prepare(final String name, final Map<String, String> arguments, final Path folder)
            throws ArgumentException, RuleFileException {
        final Entry entry = TABLE.get(name);
        if (entry == null) {
            throw new ArgumentException(
                    "",
                    "unknown element " + Mistake.quote(name) + "; there are " + String.join(", ", names())
                            + Mistake.suggest(name, names()));
        }
        for (final String argument : arguments.keySet()) {
            if (!entry.arguments.contains(argument)) {
                throw new ArgumentException(
                        argument,
                        true,
                        "'" + name + "' has no argument " + Mistake.quote(argument)
                                + Mistake.suggest(argument, entry.arguments));
            }
        }
        return entry.maker.prepare(this, arguments, folder);
    }

    private Recipe filter(final Map<String, String> arguments, final Path folder)
            throws ArgumentException, RuleFileException {
        final String name = arguments.get("rules");
        if (name == null) {
            throw new ArgumentException("", "'filter' needs a rule file; write filter(rules=FILE)");
        }
        final Path file = resolve(folder, name);
        if (Files.notExists(file)) {
            throw new ArgumentException(
                    "rules",
                    "there is no rule file " + Mistake.quote(file.toString()) + " ("
                            + file.toAbsolutePath().normalize()
                            + "); correct the name, which is relative to the file that"
                            + " says it, else to the current folder");
        }
        final RuleFormat format = format(arguments);
        final Source key = new Source(file.toAbsolutePath().normalize(), format);
        Rules rules = ruleFiles.get(key);
        if (rules == null) {
            rules = new Rules();
            rules.set = format.load(file);
            ruleFiles.put(key, rules);
        }
        return rules::makeElement;
    }

    private static RuleFormat format(final Map<String, String> arguments) throws ArgumentException {
        final String format =
                arguments.getOrDefault("format", RuleFormat.formats().get(0));
        final Optional<String> action = Optional.ofNullable(arguments.get("action"));
        requireOneOf("format", format, RuleFormat.formats());
        final List<String> actions = RuleFormat.actions(format);
        if (action.isPresent() && actions.isEmpty()) {
            throw new ArgumentException(
                    "action", "rules of format '" + format + "' say themselves what to do; leave 'action' out");
        }
        if (action.isPresent()) {
            requireOneOf("action", action.get(), actions);
        }
        return RuleFormat.named(format, action).orElseThrow();
    }

    private static void requireOneOf(final String argument, final String value, final List<String> known)
            throws ArgumentException {
        if (!known.contains(value)) {
            throw new ArgumentException(
                    argument,
                    "expected " + String.join(" or ", known) + ", not " + Mistake.quote(value)
                            + Mistake.suggest(value, known));
        }
    }

    private static Path resolve(final Path folder, final String name) throws ArgumentException {
        try {
            return folder.resolve(name);
        } catch (final InvalidPathException e) {
            throw new ArgumentException("rules", Mistake.quote(name) + " is no file name: " + e.getReason());
        }
    }

    /**
     * Reads all rule files again and lets every element judge by the new rules from its next frame on. One bad file
     * leaves all rules as they were, so that no half of an edit is in force.
     *
     * @throws RuleFileException with the mistakes of all files
     */
    public synchronized void reloadRules() throws RuleFileException {
        final Map<Rules, RuleSet> loaded = new LinkedHashMap<>();
        final Mistakes mistakes = new Mistakes();
        for (final Map.Entry<Source, Rules> file : ruleFiles.entrySet()) {
            try {
                loaded.put(file.getValue(), file.getKey().load());
            } catch (final RuleFileException e) {
                e.mistakes().forEach(mistakes::add);
            }
        }
        if (!mistakes.isEmpty()) {
            throw new RuleFileException(mistakes.list());
        }
        loaded.forEach((rules, set) -> {
            rules.set = set;
            rules.users.forEach(element -> element.use(set));
        });
    }
}

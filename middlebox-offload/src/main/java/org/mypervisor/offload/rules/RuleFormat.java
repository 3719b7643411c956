package org.mypervisor.offload.rules;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The formats of rule files, by {@link #named} of the arguments {@code format} and {@code action}. */
public enum RuleFormat {
    /** The language of {@link RuleFile}. */
    MYPERVISOR("mypervisor", ""),
    /** {@link ClassBenchFile}: frames that match any rule are denied, all others allowed. */
    CLASSBENCH_DENY("classbench", "deny"),
    /** Frames that match any rule are allowed, all others denied. */
    CLASSBENCH_ALLOW("classbench", "allow"),
    /** The first rule denies, the second one allows, and so on; other frames are allowed. For measurements. */
    CLASSBENCH_ALTERNATE("classbench", "alternate");

    private final String format;
    private final String action;

    RuleFormat(final String format, final String action) {
        this.format = format;
        this.action = action;
    }

    /** Values of the argument {@code format}, the usual one first. */
    public static List<String> formats() {
        return Stream.of(values()).map(value -> value.format).distinct().toList();
    }

    /** Values that {@code action} can have with a format, the usual one first; none if rules say themselves what to do. */
    public static List<String> actions(final String format) {
        return Stream.of(values())
                .filter(value -> value.format.equals(format) && !value.action.isEmpty())
                .map(value -> value.action)
                .toList();
    }

    /** The format with this name and action; an absent action is the usual one. */
    public static Optional<RuleFormat> named(final String format, final Optional<String> action) {
        return Stream.of(values())
                .filter(value -> value.format.equals(format)
                        && (action.isEmpty() || action.get().equals(value.action)))
                .findFirst();
    }

    /**
     * Reads and compiles a file. Places in mistakes are named after the path as given.
     *
     * @throws RuleFileException if it cannot be read or any line of it is wrong
     */
    public RuleSet load(final Path file) throws RuleFileException {
        return parse(file.toString(), SourceText.read(file));
    }

    /** Compiles rules from text; the source is the name to print in mistakes. */
    public RuleSet parse(final String source, final String text) throws RuleFileException {
        return this == MYPERVISOR ? RuleFile.parse(source, text) : ClassBenchFile.parse(source, text, this);
    }

    boolean allows(final int index) {
        return this == CLASSBENCH_ALLOW || this == CLASSBENCH_ALTERNATE && index % 2 == 1;
    }

    boolean allowsOthers() {
        return this != CLASSBENCH_ALLOW;
    }
}

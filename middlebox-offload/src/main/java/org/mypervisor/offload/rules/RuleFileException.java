package org.mypervisor.offload.rules;

import java.util.List;
import java.util.stream.Collectors;

/** A rule file was refused. The message has one line {@code file:line:column: what and why} for each mistake. */
public final class RuleFileException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient List<Mistake> mistakes;

    public RuleFileException(final List<Mistake> mistakes) {
        super(mistakes.stream().map(Mistake::toString).collect(Collectors.joining("\n")));
        this.mistakes = mistakes;
    }

    public List<Mistake> mistakes() {
        return mistakes;
    }
}

package org.mypervisor.offload.config;

import java.util.List;
import java.util.stream.Collectors;
import org.mypervisor.offload.rules.Mistake;

/** A configuration was refused. The message has one line {@code place: what and why} for each mistake. */
public final class ConfigException extends Exception {
    private static final long serialVersionUID = 1L;

    private final transient List<Mistake> mistakes;

    public ConfigException(final List<Mistake> mistakes) {
        super(mistakes.stream().map(Mistake::toString).collect(Collectors.joining("\n")));
        this.mistakes = mistakes;
    }

    public List<Mistake> mistakes() {
        return mistakes;
    }

    /** One line each, ready for stderr. */
    public List<String> messages() {
        return mistakes.stream().map(Mistake::toString).toList();
    }
}

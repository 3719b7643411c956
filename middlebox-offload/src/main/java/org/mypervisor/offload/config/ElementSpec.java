package org.mypervisor.offload.config;

import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Collectors;
import org.mypervisor.offload.rules.Place;

/**
 * An element as written, {@code name(key=value,…)}. Its name and arguments are not checked yet.
 *
 * @param name the element's name
 * @param arguments by name, in the order written
 * @param place where the name stands
 * @param folder where relative file names in its arguments begin
 */
public record ElementSpec(String name, Map<String, Argument> arguments, Place place, Path folder) {
    /**
     * One {@code key=value}.
     *
     * @param key where the key stands
     * @param value with its own place
     */
    public record Argument(Place key, Word value) {}

    /** The canonical form: {@code filter(rules=acl.rules)}, without parentheses if there are no arguments. */
    public String text() {
        if (arguments.isEmpty()) {
            return name;
        }
        return arguments.entrySet().stream()
                .map(argument -> argument.getKey() + "=" + argument.getValue().value())
                .collect(Collectors.joining(",", name + "(", ")"));
    }
}

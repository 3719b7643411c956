package org.mypervisor.offload.config;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.mypervisor.offload.Elements;

/**
 * The checked result of the whole configuration: every port named in a path exists, and no port is the source of two
 * paths. Immutable, but for the rules within {@code elements}.
 *
 * @param ports in the order written
 * @param paths each in one direction, in the order written
 * @param elements what the paths' elements were prepared with; reads rule files again
 */
public record Topology(List<PortSpec> ports, List<ExpandedPath> paths, Elements elements) {

    /** What {@code mypervisor check} prints: ports with all their options, and the paths as they will run. */
    public String render() {
        final StringBuilder text = new StringBuilder("ports:\n");
        ports.forEach(port -> line(text, port.text()));
        text.append("paths:\n");
        for (final ExpandedPath path : paths) {
            final String guards = String.join(" and ", path.guards());
            line(text, path.text() + (guards.isEmpty() ? "" : "   # only while " + guards + " are up"));
        }
        final Set<String> sources = paths.stream().map(ExpandedPath::source).collect(Collectors.toSet());
        for (final PortSpec port : ports) {
            if (!sources.contains(port.id())) {
                line(text, "# " + port.id() + " is the source of no path: its frames are dropped as no_path");
            }
        }
        return text.toString();
    }

    private static void line(final StringBuilder text, final String content) {
        text.append("  ").append(content).append('\n');
    }
}

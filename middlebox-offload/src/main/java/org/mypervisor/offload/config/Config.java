package org.mypervisor.offload.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.offload.rules.Place;

/**
 * The entrance: what the user wrote in, a {@link Topology} or all mistakes out.
 *
 * <p>A place in a command line option reads {@code --path:2:14}: the second {@code --path}, the 14th character of its
 * value. A place in a file reads {@code FILE:line:column}. The order is the file's entries, then the command line's.
 */
public final class Config {
    private final Mistakes mistakes = new Mistakes();
    private final Specs specs = new Specs();
    private boolean allPortsKnown = true;

    private Config() {}

    /**
     * Reads, checks and expands.
     *
     * @param file the YAML file, if any
     * @param ports values of {@code --port}, in their order
     * @param paths values of {@code --path}
     * @param middleboxes values of {@code --middlebox}
     * @throws ConfigException with every mistake found
     */
    public static Topology load(
            final Optional<Path> file,
            final List<String> ports,
            final List<String> paths,
            final List<String> middleboxes)
            throws ConfigException {
        final Config config = new Config();
        file.ifPresent(path -> YamlFile.read(path, config.specs, config.mistakes));
        config.allPortsKnown = config.mistakes.isEmpty();
        config.specs.addOptions(ports, paths, middleboxes, config.mistakes);
        return config.topology(file);
    }

    private Topology topology(final Optional<Path> file) throws ConfigException {
        final List<PortSpec> ports = ports();
        final List<PathSpec> paths = new ArrayList<>();
        specs.paths.forEach(text -> PathParser.parse(text, mistakes).ifPresent(paths::add));
        final List<MiddleboxSpec> middleboxes = middleboxes();
        if (specs.ports.isEmpty() && mistakes.isEmpty()) {
            final String source = file.map(Path::toString).orElse("--port");
            mistakes.add(new Place(source, 1, 1), "there is no port; add --port id=NAME,path=/run/NAME.sock");
        }
        final Expansion expansion = new Expansion(ports, allPortsKnown, mistakes);
        paths.forEach(expansion::addPath);
        middleboxes.forEach(expansion::addMiddlebox);
        if (!mistakes.isEmpty()) {
            throw new ConfigException(mistakes.list());
        }
        return expansion.topology();
    }

    private List<PortSpec> ports() {
        final List<PortSpec> ports = new ArrayList<>();
        final Map<String, Place> ids = new HashMap<>();
        final Map<Object, PortSpec> users = new HashMap<>();
        final Map<PortSpec, KeyValues> captures = new LinkedHashMap<>();
        for (final KeyValues keys : specs.ports) {
            final PortSpec port = PortParser.parse(keys, mistakes).orElse(null);
            if (port == null) {
                allPortsKnown = false;
                continue;
            }
            final Place earlier = ids.putIfAbsent(port.id(), port.place());
            if (earlier != null) {
                mistakes.add(
                        port.place(), "there is already a port '" + port.id() + "', at " + earlier + "; rename one");
                continue;
            }
            ports.add(port);
            if (port.kind() instanceof PortSpec.Pcap) {
                checkWritten(keys.optional("write"), captures);
                captures.put(port, keys);
            } else {
                checkOwn(port, keys, users);
            }
        }
        captures.forEach((port, keys) -> checkReplayed(port, keys.optional("write"), captures));
        return ports;
    }

    /** A file that is replayed would be lost if it were written. */
    private void checkReplayed(final PortSpec port, final SpecText written, final Map<PortSpec, KeyValues> captures) {
        captures.forEach((other, keys) -> {
            final SpecText read = keys.optional("read");
            if (other != port && written != null && read != null && CaptureOptions.isSameFile(read, written)) {
                mistakes.add(
                        written.place(),
                        "this is the file that port '" + other.id() + "', at " + other.place()
                                + ", replays; write another one");
            }
        });
    }

    /** No two ports write one file. */
    private void checkWritten(final SpecText written, final Map<PortSpec, KeyValues> earlier) {
        for (final Map.Entry<PortSpec, KeyValues> other : earlier.entrySet()) {
            final SpecText theirs = other.getValue().optional("write");
            if (written != null && theirs != null && CaptureOptions.isSameFile(theirs, written)) {
                belongsTo(other.getKey(), "file", written.place());
                return;
            }
        }
    }

    /** No two ports share a socket or an interface. */
    private void checkOwn(final PortSpec port, final KeyValues keys, final Map<Object, PortSpec> users) {
        final boolean isSocket = port.kind() instanceof PortSpec.VhostUser;
        final SpecText given = keys.optional(isSocket ? "path" : "ifname");
        if (given == null || given.text().indexOf('\0') >= 0) {
            return;
        }
        final Object own = isSocket ? Path.of(given.text()).toAbsolutePath().normalize() : given.text();
        final PortSpec rival = users.putIfAbsent(own, port);
        if (rival != null) {
            belongsTo(rival, isSocket ? "socket" : "interface", given.place());
        }
    }

    private void belongsTo(final PortSpec rival, final String what, final Place place) {
        mistakes.add(
                place,
                "this " + what + " already belongs to port '" + rival.id() + "', at " + rival.place()
                        + "; each port needs its own");
    }

    private List<MiddleboxSpec> middleboxes() {
        final List<MiddleboxSpec> middleboxes = new ArrayList<>();
        final Map<String, Place> ids = new HashMap<>();
        for (final KeyValues keys : specs.middleboxes) {
            final MiddleboxSpec middlebox =
                    MiddleboxParser.parse(keys, mistakes).orElse(null);
            if (middlebox == null) {
                continue;
            }
            final Word id = middlebox.id();
            final Place earlier = ids.putIfAbsent(id.text(), id.place());
            if (earlier != null) {
                mistakes.add(id.place(), "there is already a middlebox '" + id + "', at " + earlier + "; rename one");
            } else {
                middleboxes.add(middlebox);
            }
        }
        return middleboxes;
    }
}

package org.mypervisor.offload.config;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.mypervisor.offload.Elements;
import org.mypervisor.offload.config.MiddleboxSpec.On;
import org.mypervisor.offload.config.MiddleboxSpec.Step;
import org.mypervisor.offload.config.MiddleboxSpec.VmDown;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.offload.rules.Place;
import org.mypervisor.offload.rules.RuleFileException;

/** Turns paths and middleboxes as written into paths of one direction each, and checks them against the ports. */
final class Expansion {
    /** An element whose arguments are checked, and its text in paths. */
    private record Prepared(Elements.Recipe recipe, String text) {}

    private final List<PortSpec> ports;
    private final List<String> portIds;
    private final boolean allPortsKnown;
    private final Mistakes mistakes;
    private final Elements elements = new Elements();
    private final List<ExpandedPath> paths = new ArrayList<>();
    private final Map<String, Place> sources = new HashMap<>();

    /**
     * Begins with no path.
     *
     * @param ports the ports that paths may name
     * @param allPortsKnown false if mistakes may hide ports, so that an unknown id is no news
     * @param mistakes where to complain
     */
    Expansion(final List<PortSpec> ports, final boolean allPortsKnown, final Mistakes mistakes) {
        this.allPortsKnown = allPortsKnown;
        this.ports = ports;
        this.portIds = ports.stream().map(PortSpec::id).toList();
        this.mistakes = mistakes;
    }

    /** The result; call it only if no mistakes were collected. */
    Topology topology() {
        return new Topology(List.copyOf(ports), List.copyOf(paths), elements);
    }

    void addPath(final PathSpec path) {
        for (final ElementSpec element : path.elements()) {
            final ElementSpec.Argument on = element.arguments().get("on");
            if (on != null) {
                mistakes.add(
                        on.key(),
                        "'on' belongs to the elements of a --middlebox; a path says its direction with"
                                + " its arrow: use '->'");
                return;
            }
        }
        final boolean known = isPort(path.source()) & isPort(path.destination());
        final List<Prepared> prepared = prepare(path.elements());
        if (!known || prepared.size() != path.elements().size()) {
            return;
        }
        if (path.bidirectional()
                && path.source().text().equals(path.destination().text())) {
            mistakes.add(
                    path.destination().place(),
                    "'<->' joins two different ports; to send a port's frames back to" + " it write '" + path.source()
                            + " -> " + path.destination() + "'");
            return;
        }
        expand(path.source(), prepared, path.destination(), List.of());
        if (path.bidirectional()) {
            final List<Prepared> backwards = new ArrayList<>(prepared);
            Collections.reverse(backwards);
            expand(path.destination(), backwards, path.source(), List.of());
        }
    }

    void addMiddlebox(final MiddleboxSpec box) {
        final Word insideNet = box.inside().net();
        final Word insideGuest = box.inside().guest();
        final Word outsideNet = box.outside().net();
        final Word outsideGuest = box.outside().guest();
        final boolean known = isPort(insideNet) & isPort(insideGuest) & isPort(outsideNet) & isPort(outsideGuest);
        final List<Step> steps = box.offload().steps();
        final List<Prepared> prepared =
                prepare(steps.stream().map(Step::element).toList());
        if (!known || prepared.size() != steps.size()) {
            return;
        }
        final List<Prepared> fromInside = on(On.INSIDE, steps, prepared);
        final List<Prepared> fromOutside = on(On.OUTSIDE, steps, prepared);
        if (box.offload().wire()) {
            final List<String> guards =
                    box.vmDown() == VmDown.DROP ? List.of(insideGuest.text(), outsideGuest.text()) : List.of();
            expand(insideNet, fromInside, outsideNet, guards);
            expand(outsideNet, fromOutside, insideNet, guards);
        } else {
            expand(insideNet, fromInside, insideGuest, List.of());
            expand(outsideNet, fromOutside, outsideGuest, List.of());
        }
        // What the VM sends of its own leaves by its side, whatever the policy, and is not judged.
        expand(insideGuest, List.of(), insideNet, List.of());
        expand(outsideGuest, List.of(), outsideNet, List.of());
    }

    private static List<Prepared> on(final On side, final List<Step> steps, final List<Prepared> prepared) {
        final List<Prepared> here = new ArrayList<>();
        for (int i = 0; i < steps.size(); i++) {
            final Optional<On> only = steps.get(i).only();
            if (only.isEmpty() || only.get() == side) {
                here.add(prepared.get(i));
            }
        }
        return here;
    }

    private void expand(
            final Word source, final List<Prepared> prepared, final Word destination, final List<String> guards) {
        final Place earlier = sources.putIfAbsent(source.text(), source.place());
        if (earlier != null) {
            mistakes.add(
                    source.place(),
                    "port '" + source + "' is already the source of a path, at " + earlier
                            + "; its frames can go one way only");
            return;
        }
        final List<String> stops = new ArrayList<>();
        stops.add(source.text());
        prepared.forEach(element -> stops.add(element.text));
        stops.add(destination.text());
        paths.add(new ExpandedPath(
                source.text(),
                prepared.stream().map(Prepared::recipe).toList(),
                destination.text(),
                guards,
                String.join(" -> ", stops)));
    }

    private static Place place(final ElementSpec element, final Elements.ArgumentException e) {
        final ElementSpec.Argument argument = element.arguments().get(e.argument());
        if (argument == null) {
            return element.place();
        }
        return e.isUnknown() ? argument.key() : argument.value().place();
    }

    private boolean isPort(final Word id) {
        if (portIds.contains(id.text())) {
            return true;
        }
        if (allPortsKnown) {
            complainAboutPort(id);
        }
        return false;
    }

    private void complainAboutPort(final Word id) {
        mistakes.add(
                id.place(),
                "there is no port '" + id + "'; "
                        + (portIds.isEmpty() ? "add --port id=" + id + ",…" : "there are " + String.join(", ", portIds))
                        + Mistake.suggest(id.text(), portIds));
    }

    /** All of them, or fewer after mistakes. */
    private List<Prepared> prepare(final List<ElementSpec> written) {
        final List<Prepared> prepared = new ArrayList<>();
        for (final ElementSpec element : written) {
            if (portIds.contains(element.name()) && !Elements.names().contains(element.name())) {
                mistakes.add(
                        element.place(),
                        "'" + element.name() + "' is a port, and a path has ports at its ends"
                                + " only; write one path to it and one from it");
                continue;
            }
            final Map<String, String> arguments = new LinkedHashMap<>();
            element.arguments()
                    .forEach((name, value) -> arguments.put(name, value.value().text()));
            try {
                prepared.add(
                        new Prepared(elements.prepare(element.name(), arguments, element.folder()), element.text()));
            } catch (final Elements.ArgumentException e) {
                mistakes.add(place(element, e), e.getMessage());
            } catch (final RuleFileException e) {
                e.mistakes().forEach(mistakes::add);
            }
        }
        return prepared;
    }
}

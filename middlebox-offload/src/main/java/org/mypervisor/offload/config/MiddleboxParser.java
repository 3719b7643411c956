package org.mypervisor.offload.config;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.mypervisor.offload.config.MiddleboxSpec.Offload;
import org.mypervisor.offload.config.MiddleboxSpec.On;
import org.mypervisor.offload.config.MiddleboxSpec.Side;
import org.mypervisor.offload.config.MiddleboxSpec.Step;
import org.mypervisor.offload.config.MiddleboxSpec.VmDown;
import org.mypervisor.offload.rules.Mistakes;

/** Reads the keys of a {@code --middlebox}. */
final class MiddleboxParser {
    private static final List<String> KEYS = List.of("id", "inside", "outside", "offload", "vm-down");
    private static final String POLICIES = "none, filter(rules=FILE) or filter(rules=FILE)+wire";
    private static final Map<String, On> SIDES = Map.of("inside", On.INSIDE, "outside", On.OUTSIDE);

    private final KeyValues keys;
    private final Mistakes mistakes;

    private MiddleboxParser(final KeyValues keys, final Mistakes mistakes) {
        this.keys = keys;
        this.mistakes = mistakes;
    }

    /** The middlebox, or empty after a mistake that leaves nothing to expand. Mistakes are collected. */
    static Optional<MiddleboxSpec> parse(final KeyValues keys, final Mistakes mistakes) {
        return new MiddleboxParser(keys, mistakes).parse();
    }

    private Optional<MiddleboxSpec> parse() {
        keys.expectOnly("middlebox", KEYS);
        final Word id = KeyValues.id(keys.required("id", "middlebox", "NAME"), mistakes);
        final Side inside = side("inside");
        final Side outside = side("outside");
        final Offload offload = offload();
        if (offload == null) {
            return Optional.empty();
        }
        final VmDown vmDown = vmDown(offload);
        return id == null || inside == null || outside == null
                ? Optional.empty()
                : Optional.of(new MiddleboxSpec(id, inside, outside, offload, vmDown));
    }

    private Side side(final String key) {
        final SpecText value = keys.required(key, "middlebox", "NET:GUEST");
        if (value == null) {
            return null;
        }
        final List<SpecText> ids = value.split(':');
        if (ids.size() != 2) {
            mistakes.add(
                    value.place(),
                    "'" + key + "' is NET:GUEST, the port towards the network and the port of the" + " VM's NIC, not "
                            + value.quoted());
            return null;
        }
        final Word net = KeyValues.id(ids.get(0), mistakes);
        final Word guest = KeyValues.id(ids.get(1), mistakes);
        return net == null || guest == null ? null : new Side(net, guest);
    }

    private Offload offload() {
        final SpecText policy =
                keys.required("offload", "middlebox", "none, or filter(rules=FILE), or filter(rules=FILE)+wire");
        if (policy == null) {
            return null;
        }
        final int unbalanced = policy.unbalanced();
        if (unbalanced >= 0) {
            mistakes.add(policy.at(unbalanced), "this parenthesis has no partner");
            return null;
        }
        if (policy.text().equals("none")) {
            return new Offload(List.of(), false);
        }
        final List<SpecText> parts = policy.split('+');
        final boolean wire = parts.get(parts.size() - 1).text().equals("wire");
        final List<Step> steps = new ArrayList<>();
        for (final SpecText part : wire ? parts.subList(0, parts.size() - 1) : parts) {
            if (part.text().equals("none") || part.text().equals("wire")) {
                mistakes.add(part.place(), part.quoted() + " cannot stand here: 'offload' is " + POLICIES);
                return null;
            }
            final Optional<Step> step = step(part);
            if (step.isEmpty()) {
                return null;
            }
            steps.add(step.get());
        }
        if (steps.isEmpty()) {
            mistakes.add(
                    policy.place(),
                    "'wire' needs a filter before it; to join two ports without one use --path" + " 'NET <-> NET'");
            return null;
        }
        return new Offload(List.copyOf(steps), wire);
    }

    /** Takes {@code on=} out of the arguments: it says where the middlebox has this element, not what the element does. */
    private Optional<Step> step(final SpecText part) {
        final Optional<ElementSpec> element = PathParser.element(part, mistakes);
        if (element.isEmpty()) {
            return Optional.empty();
        }
        final ElementSpec written = element.get();
        final Map<String, ElementSpec.Argument> arguments = new LinkedHashMap<>(written.arguments());
        final Word on = Optional.ofNullable(arguments.remove("on"))
                .map(ElementSpec.Argument::value)
                .orElse(null);
        if (on != null && !SIDES.containsKey(on.text())) {
            mistakes.add(on.place(), "'on' is inside or outside, not '" + on + "'; leave it out for both");
        }
        final Optional<On> only = Optional.ofNullable(on).map(word -> SIDES.get(word.text()));
        return Optional.of(
                new Step(new ElementSpec(written.name(), arguments, written.place(), written.folder()), only));
    }

    private VmDown vmDown(final Offload offload) {
        final SpecText written = keys.optional("vm-down");
        final String value = keys.choice("vm-down", List.of("forward", "drop"), offload.wire() ? "forward" : "drop");
        if (written != null && value.equals("forward") && !offload.wire()) {
            mistakes.add(
                    written.place(),
                    "without '+wire' every frame goes through the VM, so nothing can be forwarded"
                            + " while it is down; add '+wire' or leave vm-down out");
        }
        return value.equals("drop") ? VmDown.DROP : VmDown.FORWARD;
    }
}

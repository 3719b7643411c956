package org.mypervisor.offload.config;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.vhostuser.SocketOptions;

/** Reads the keys of a {@code --port}. */
final class PortParser {
    /** Bytes of a socket path: sun_path has 108, the last of them a zero (unix(7)). */
    private static final List<String> TYPES = List.of(PortSpec.VHOST_USER);

    private static final List<String> KEYS = List.of(
            "id",
            "type",
            "path",
            "server",
            "queues",
            "packed",
            "mrg_rxbuf",
            "event_idx",
            "indirect",
            "in_order",
            "offloads",
            "mode",
            "owner",
            "group",
            "wait");
    private static final int DEFAULT_MODE = 0660;

    private final KeyValues keys;
    private final Mistakes mistakes;

    private PortParser(final KeyValues keys, final Mistakes mistakes) {
        this.keys = keys;
        this.mistakes = mistakes;
    }

    /** The port, complete with defaults; empty only if it has no usable id. Mistakes are collected. */
    static Optional<PortSpec> parse(final KeyValues keys, final Mistakes mistakes) {
        return new PortParser(keys, mistakes).parse();
    }

    private Optional<PortSpec> parse() {
        keys.expectOnly("port", KEYS);
        final Word id = KeyValues.id(keys.required("id", "port", "NAME"), mistakes);
        final String type = type();
        final String path = path();
        final PortSpec.Offered offered = new PortSpec.Offered(
                keys.onOff("packed", true),
                keys.onOff("mrg_rxbuf", true),
                keys.onOff("event_idx", true),
                keys.onOff("indirect", true),
                keys.onOff("in_order", true),
                keys.onOff("offloads", true));
        final PortSpec.Access access = new PortSpec.Access(
                mode(), Optional.ofNullable(keys.text("owner", null)), Optional.ofNullable(keys.text("group", null)));
        final boolean server = keys.onOff("server", true);
        final int queues = keys.number("queues", 1, PortSpec.MAX_QUEUES, 1);
        final int wait = keys.number("wait", 0, PortSpec.MAX_WAIT_MILLIS, 1);
        return Optional.ofNullable(id)
                .map(name ->
                        new PortSpec(name.text(), type, path, server, queues, offered, access, wait, name.place()));
    }

    private String type() {
        final SpecText type = keys.optional("type");
        if (type != null && !TYPES.contains(type.text())) {
            mistakes.add(
                    type.place(),
                    "there is no port type " + type.quoted() + "; supported: " + String.join(", ", TYPES)
                            + Mistake.suggest(type.text(), TYPES));
        }
        return PortSpec.VHOST_USER;
    }

    private String path() {
        final SpecText path = keys.required("path", "port", "/run/NAME.sock");
        if (path == null) {
            return "";
        }
        final int length = path.text().getBytes(StandardCharsets.UTF_8).length;
        if (length > SocketOptions.MAX_PATH_BYTES) {
            mistakes.add(
                    path.place(),
                    "the socket path has " + length + " bytes, and a UNIX socket takes at most "
                            + SocketOptions.MAX_PATH_BYTES + "; choose a shorter one");
        }
        if (path.text().indexOf('\0') >= 0) {
            mistakes.add(path.place(), "a socket path cannot hold a zero byte");
        }
        return path.text();
    }

    private int mode() {
        final SpecText mode = keys.optional("mode");
        if (mode == null) {
            return DEFAULT_MODE;
        }
        if (!mode.text().matches("0?[0-7]{3}")) {
            mistakes.add(mode.place(), "'mode' is three octal digits like 0660, not " + mode.quoted());
            return DEFAULT_MODE;
        }
        return Integer.parseInt(mode.text(), 8);
    }
}

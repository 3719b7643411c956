package org.mypervisor.offload.config;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.mypervisor.offload.host.XdpInterface;
import org.mypervisor.offload.rules.Mistake;
import org.mypervisor.offload.rules.Mistakes;
import org.mypervisor.vhostuser.SocketOptions;

/** Reads the keys of a {@code --port}. */
final class PortParser {
    private static final List<String> COMMON_KEYS = List.of("id", "type", "queues", "offloads", "wait");

    /** The keys that only ports of one type have. */
    private static final Map<String, List<String>> KEYS = Map.of(
            PortSpec.VhostUser.TYPE,
            List.of(
                    "path",
                    "server",
                    "packed",
                    "mrg_rxbuf",
                    "event_idx",
                    "indirect",
                    "in_order",
                    "mode",
                    "owner",
                    "group"),
            PortSpec.Tap.TYPE,
            List.of("ifname", "mtu"),
            PortSpec.AfPacket.TYPE,
            List.of("ifname"),
            PortSpec.AfXdp.TYPE,
            List.of("ifname", "queue", "mode"),
            PortSpec.Pcap.TYPE,
            List.of("read", "speed", "rate", "loop", "write", "size", "seconds"),
            PortSpec.Null.TYPE,
            List.of());

    private static final List<String> TYPES = List.of(
            PortSpec.VhostUser.TYPE,
            PortSpec.Tap.TYPE,
            PortSpec.AfPacket.TYPE,
            PortSpec.AfXdp.TYPE,
            PortSpec.Pcap.TYPE,
            PortSpec.Null.TYPE);

    private static final int DEFAULT_MODE = 0660;

    /** IFNAMSIZ has room for a zero behind them. */
    private static final int MAX_IFNAME_BYTES = 15;

    private static final int MIN_MTU = 68;
    private static final int MAX_MTU = 65_521;

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
        final String type = type();
        keys.expectOnly(
                "port of type " + type,
                Stream.concat(COMMON_KEYS.stream(), KEYS.get(type).stream()).toList());
        final Word id = KeyValues.id(keys.required("id", "port", "NAME"), mistakes);
        final boolean isFile = type.equals(PortSpec.Pcap.TYPE);
        final int queues = keys.number("queues", 1, isFile ? 1 : PortSpec.MAX_QUEUES, 1);
        final boolean offloads = offloads(type);
        final int wait = keys.number("wait", 0, PortSpec.MAX_WAIT_MILLIS, isFile ? 0 : 1);
        final PortSpec.Kind kind =
                switch (type) {
                    case PortSpec.Tap.TYPE -> new PortSpec.Tap(ifname(), mtu());
                    case PortSpec.AfPacket.TYPE -> new PortSpec.AfPacket(ifname());
                    case PortSpec.AfXdp.TYPE -> afXdp();
                    case PortSpec.Pcap.TYPE -> new CaptureOptions(keys, mistakes).parse();
                    case PortSpec.Null.TYPE -> new PortSpec.Null();
                    default -> vhostUser();
                };
        return Optional.ofNullable(id)
                .map(name -> new PortSpec(name.text(), queues, offloads, wait, kind, name.place()));
    }

    private String type() {
        final SpecText type = keys.optional("type");
        if (type == null) {
            return PortSpec.VhostUser.TYPE;
        }
        if (!TYPES.contains(type.text())) {
            mistakes.add(
                    type.place(),
                    "there is no port type " + type.quoted() + "; supported: " + String.join(", ", TYPES)
                            + Mistake.suggest(type.text(), TYPES));
            return PortSpec.VhostUser.TYPE;
        }
        return type.text();
    }

    /** Frames of an XDP socket can say nothing of offloads. */
    private boolean offloads(final String type) {
        final boolean possible = !type.equals(PortSpec.AfXdp.TYPE);
        final boolean wanted = keys.onOff("offloads", possible);
        if (wanted && !possible) {
            mistakes.add(keys.optional("offloads").place(), "a port of type " + type + " has no offloads");
        }
        return wanted;
    }

    private PortSpec.AfXdp afXdp() {
        final int queue = keys.number("queue", 0, PortSpec.AfXdp.MAX_QUEUE, 0);
        final String mode = keys.choice("mode", PortSpec.AfXdp.MODES, PortSpec.AfXdp.MODES.get(0));
        final int copying = Math.max(PortSpec.AfXdp.MODES.indexOf(mode), 0);
        return new PortSpec.AfXdp(ifname(), queue, XdpInterface.Copying.values()[copying]);
    }

    private PortSpec.VhostUser vhostUser() {
        final PortSpec.Offered offered = new PortSpec.Offered(
                keys.onOff("packed", true),
                keys.onOff("mrg_rxbuf", true),
                keys.onOff("event_idx", true),
                keys.onOff("indirect", true),
                keys.onOff("in_order", true));
        final PortSpec.Access access = new PortSpec.Access(
                mode(), Optional.ofNullable(keys.text("owner", null)), Optional.ofNullable(keys.text("group", null)));
        return new PortSpec.VhostUser(path(), keys.onOff("server", true), offered, access);
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

    private String ifname() {
        final SpecText ifname = keys.required("ifname", "port", "eth0");
        if (ifname == null) {
            return "";
        }
        final int length = ifname.text().getBytes(StandardCharsets.UTF_8).length;
        if (length > MAX_IFNAME_BYTES
                || !ifname.text().matches("[^\\s/:%\0]+")
                || ifname.text().matches("\\.\\.?")) {
            mistakes.add(
                    ifname.place(),
                    ifname.quoted() + " is no name of an interface: at most " + MAX_IFNAME_BYTES
                            + " bytes, no blanks, '/', ':' or '%'; 'ip link' lists those there are");
        }
        return ifname.text();
    }

    private int mtu() {
        return keys.optional("mtu") == null ? 0 : keys.number("mtu", MIN_MTU, MAX_MTU, 0);
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

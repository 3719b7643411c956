package org.mypervisor.offload;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.mypervisor.offload.config.ExpandedPath;
import org.mypervisor.offload.config.Topology;

/** Frames that one interface of a path may have must fit the other: else they would vanish without a word. */
final class Mtus {
    private Mtus() {}

    /** @throws IOException naming the first path whose interfaces differ */
    static void check(final Topology topology, final List<Attachment> attachments) throws IOException {
        final Map<String, InterfacePort> interfaces = new HashMap<>();
        for (final Attachment attachment : attachments) {
            if (attachment instanceof InterfacePort port) {
                interfaces.put(port.port().id(), port);
            }
        }
        for (final ExpandedPath path : topology.paths()) {
            final InterfacePort source = interfaces.get(path.source());
            final InterfacePort destination = interfaces.get(path.destination());
            if (source != null && destination != null && source.mtu() != destination.mtu()) {
                throw new IOException(
                        "path '%s': interface %s has MTU %d and interface %s %d; make them equal (ip link set %s mtu %d)"
                                .formatted(
                                        path.text(),
                                        source.interfaceName(),
                                        source.mtu(),
                                        destination.interfaceName(),
                                        destination.mtu(),
                                        source.mtu() < destination.mtu()
                                                ? destination.interfaceName()
                                                : source.interfaceName(),
                                        Math.min(source.mtu(), destination.mtu())));
            }
        }
    }
}

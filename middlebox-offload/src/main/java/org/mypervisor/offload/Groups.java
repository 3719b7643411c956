package org.mypervisor.offload;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.mypervisor.offload.config.ExpandedPath;
import org.mypervisor.offload.config.PortSpec;
import org.mypervisor.offload.config.Topology;

/**
 * Ports between which frames may pass. A group runs on one worker, so that every ring and every port's state has one
 * thread that touches it, and none needs a lock.
 */
final class Groups {
    private final Map<String, String> leader = new HashMap<>();

    private Groups() {}

    /** The ids of each group's ports, in the order of the configuration. */
    static List<List<String>> of(final Topology topology) {
        final Groups groups = new Groups();
        for (final ExpandedPath path : topology.paths()) {
            groups.join(path.source(), path.destination());
            path.guards().forEach(guard -> groups.join(path.source(), guard));
        }
        final Map<String, List<String>> members = new LinkedHashMap<>();
        for (final PortSpec port : topology.ports()) {
            members.computeIfAbsent(groups.leaderOf(port.id()), unused -> new ArrayList<>())
                    .add(port.id());
        }
        return List.copyOf(members.values());
    }

    private void join(final String a, final String b) {
        leader.put(leaderOf(a), leaderOf(b));
    }

    private String leaderOf(final String id) {
        String current = id;
        while (!leader.getOrDefault(current, current).equals(current)) {
            current = leader.get(current);
        }
        return current;
    }
}

package org.mypervisor.offload.config;

import java.util.List;
import org.mypervisor.offload.Elements;

/**
 * One direction that frames take, as it will run.
 *
 * @param source id of the port that frames come from; no other path has it as its source
 * @param elements make each queue's elements, in the order in which a frame meets them
 * @param destination id of the port that frames go to
 * @param guards ids of the ports that must all be up, else frames end as {@code vm_down}; mostly empty
 * @param text the canonical form, {@code client -> filter(rules=acl.rules) -> server}
 */
public record ExpandedPath(
        String source, List<Elements.Recipe> elements, String destination, List<String> guards, String text) {}

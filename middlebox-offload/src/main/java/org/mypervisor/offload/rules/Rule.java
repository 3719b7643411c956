package org.mypervisor.offload.rules;

import java.util.List;

/**
 * One rule as written, checked and resolved: what {@link RuleFile} makes and {@link RuleSet} compiles. Immutable.
 *
 * @param allow what happens to a frame that matches
 * @param etherType the ether type that a frame must have behind its tags, or {@link #ANY} for a rule on IP
 * @param families the IP versions that match, {@link Headers#IPV4} and {@link Headers#IPV6} together; 0 with an ether
 *     type
 * @param protocol number of the protocol behind the IP headers, or {@link #ANY}
 * @param from source
 * @param to destination
 * @param line line in its file, from 1
 * @param text the rule's words with one blank between them, without comment
 */
public record Rule(
        boolean allow, int etherType, int families, int protocol, Side from, Side to, int line, String text) {
    /** Stands for "whatever it is" in numbers. */
    public static final int ANY = -1;

    /**
     * Source or destination of a rule.
     *
     * @param prefix the addresses that match
     * @param ports the ports that match; an empty list asks for no port
     */
    public record Side(IpPrefix prefix, List<PortRange> ports) {
        /** Matches every address and every port, and frames without ports. */
        public static final Side ANY = new Side(IpPrefix.ANY, List.of());
    }

    /** Ports from first to last, both included. */
    public record PortRange(int first, int last) {}
}

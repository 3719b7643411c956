package org.mypervisor.offload.config;

import java.util.List;
import java.util.Optional;

/**
 * A middlebox VM as written: where it stands between two networks, and what we do in its place.
 *
 * @param id its name
 * @param inside the side that counts as inside
 * @param outside the other side
 * @param offload what is done in the host
 * @param vmDown what the wire does while the VM is down
 */
public record MiddleboxSpec(Word id, Side inside, Side outside, Offload offload, VmDown vmDown) {
    /**
     * One side, written {@code NET:GUEST}.
     *
     * @param net id of the port towards the network
     * @param guest id of the port that is the VM's NIC on this side
     */
    public record Side(Word net, Word guest) {}

    /**
     * The offload policy.
     *
     * @param steps elements that judge the frames from the networks; none for the policy {@code none}
     * @param wire whether what they pass goes straight to the other network instead of into the VM
     */
    public record Offload(List<Step> steps, boolean wire) {}

    /**
     * An element of the policy.
     *
     * @param element without its {@code on} argument
     * @param only the one side whose network's frames it judges; empty for both
     */
    public record Step(ElementSpec element, Optional<On> only) {}

    /** The side on which an element works. */
    public enum On {
        INSIDE,
        OUTSIDE
    }

    /** Whether a wire goes on forwarding while the VM is down, or drops: fail-open or fail-closed. */
    public enum VmDown {
        FORWARD,
        DROP
    }
}

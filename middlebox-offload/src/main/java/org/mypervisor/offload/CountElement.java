package org.mypervisor.offload;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.Map;

/**
 * {@code count}: counts the frames that come by, and their bytes without virtio-net header and FCS.
 *
 * <p>Needs: nothing. Changes nothing. Drops: nothing. Example: {@code client -> count -> filter(rules=acl.rules) ->
 * count -> server} tells how much the filter takes away.
 *
 * <p>Owned by one worker, which adds plainly; any thread may read.
 */
public final class CountElement implements Element {
    private static final VarHandle COUNTER = MethodHandles.arrayElementVarHandle(long[].class);
    private static final int PACKETS = 0;
    private static final int BYTES = 1;

    private final long[] counters = new long[2];

    @Override
    public int process(final Packet packet) {
        counters[PACKETS]++;
        counters[BYTES] += packet.frameLength();
        return PASS;
    }

    @Override
    public String name() {
        return "count";
    }

    @Override
    public Map<String, Long> counts() {
        return Map.of("packets", packets(), "bytes", bytes());
    }

    public long packets() {
        return (long) COUNTER.getOpaque(counters, PACKETS);
    }

    public long bytes() {
        return (long) COUNTER.getOpaque(counters, BYTES);
    }
}

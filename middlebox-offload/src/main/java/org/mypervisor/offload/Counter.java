package org.mypervisor.offload;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/** A count that one worker adds to and any thread may read; it costs the worker a plain load and store. */
final class Counter {
    private static final VarHandle VALUE = valueHandle();

    @SuppressWarnings("unused") // through VALUE
    private long value;

    private static VarHandle valueHandle() {
        try {
            return MethodHandles.lookup().findVarHandle(Counter.class, "value", long.class);
        } catch (final ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    /** Only by the owning worker. */
    void add(final long amount) {
        VALUE.setOpaque(this, (long) VALUE.getOpaque(this) + amount);
    }

    long get() {
        return (long) VALUE.getOpaque(this);
    }

    /** One counter for each of {@code count} ordinals. */
    static Counter[] array(final int count) {
        final Counter[] counters = new Counter[count];
        for (int i = 0; i < count; i++) {
            counters[i] = new Counter();
        }
        return counters;
    }
}

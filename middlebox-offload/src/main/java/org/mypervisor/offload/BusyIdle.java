package org.mypervisor.offload;

import org.mypervisor.virtqueue.RunningQueue;

/** Never sleeps: for a CPU that has nothing else to do. Kicks stay suppressed all the time. */
final class BusyIdle implements IdleStrategy {
    /** In that time dpdk-testpmd fills a burst, even where each cache line takes 200 ns between the two CPUs. */
    private static final long PATIENCE_NANOS = 5_000;

    @Override
    public void worked() {}

    @Override
    public boolean isTimeToSleep() {
        return false;
    }

    @Override
    public long patienceNanos() {
        return PATIENCE_NANOS;
    }

    @Override
    public void sleep(final boolean briefly) {}

    @Override
    public void wake() {}

    @Override
    public void watchKick(final RunningQueue vring, final Port port) {}

    @Override
    public void forgetKick(final RunningQueue vring) {}

    @Override
    public void close() {}
}

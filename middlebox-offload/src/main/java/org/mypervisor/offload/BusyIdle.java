package org.mypervisor.offload;

import org.mypervisor.virtqueue.RunningQueue;

/** Never sleeps: for a CPU that has nothing else to do. Kicks stay suppressed all the time. */
final class BusyIdle implements IdleStrategy {
    @Override
    public void worked() {}

    @Override
    public boolean isTimeToSleep() {
        return false;
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

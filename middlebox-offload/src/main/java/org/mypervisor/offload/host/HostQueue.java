package org.mypervisor.offload.host;

import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * One end of an interface's queue pair, as a worker runs it.
 *
 * @param kickFd readable when there are frames, or -1 where there never are
 */
record HostQueue(BufferQueue queue, int kickFd) implements RunningQueue {
    @Override
    public int publishAndCall() {
        queue.publish();
        return 0;
    }
}

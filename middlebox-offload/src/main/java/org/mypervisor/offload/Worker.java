package org.mypervisor.offload;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.vhostuser.Vring;

/**
 * A thread that owns rings: it gives each of its wires a turn, executes commands between turns, and idles by its
 * strategy when there is nothing to do.
 *
 * <p>Other threads never touch what a worker owns; they hand in a command and wait for it.
 */
final class Worker {
    private static final Logger LOG = LogManager.getLogger(Worker.class);

    /** The CPU of a worker that is not pinned. */
    static final int ANY_CPU = -1;

    private final int cpu;
    private final IdleStrategy idleStrategy;
    private final Thread thread;
    private final ConcurrentLinkedQueue<Runnable> commands = new ConcurrentLinkedQueue<>();
    private final List<Wire> assigned = new ArrayList<>();
    private Wire[] wires = {};
    private boolean running = true;
    private volatile boolean faulted;

    final Counter packets = new Counter();
    final Counter bursts = new Counter();
    final Counter busyNanos = new Counter();
    final Counter idleNanos = new Counter();

    /** @param cpu to run on alone, or {@link #ANY_CPU} */
    Worker(final int index, final int cpu, final IdleStrategy idleStrategy) {
        this.cpu = cpu;
        this.idleStrategy = idleStrategy;
        this.thread = new Thread(this::run, "worker-" + index);
        thread.setDaemon(true);
    }

    /** Before {@link #start}. */
    void add(final Wire wire) {
        assigned.add(wire);
    }

    void start() {
        wires = assigned.toArray(Wire[]::new);
        thread.start();
    }

    int cpu() {
        return cpu;
    }

    private void run() {
        if (cpu != ANY_CPU) {
            Affinity.pinCurrentThread(cpu);
        }
        long before = System.nanoTime();
        while (running) {
            final boolean worked = doWork() != 0;
            if (worked) {
                idleStrategy.worked();
            } else {
                idle();
            }
            final long now = System.nanoTime();
            (worked ? busyNanos : idleNanos).add(now - before);
            before = now;
        }
    }

    private void idle() {
        try {
            idleStrategy.idle(wires);
        } catch (final InternalError e) {
            suspendAll();
        }
    }

    /** For a memory fault that came to light outside any wire's turn. */
    private void suspendAll() {
        for (final Wire wire : wires) {
            wire.suspend();
        }
        faulted = true;
    }

    /** One turn of every wire, after what others asked for. */
    private int doWork() {
        for (Runnable command = commands.poll(); command != null; command = commands.poll()) {
            command.run();
        }
        int frames = 0;
        for (final Wire wire : wires) {
            frames += turn(wire);
        }
        return frames;
    }

    private int turn(final Wire wire) {
        try {
            final int frames = wire.forward();
            if (frames != 0) {
                packets.add(frames);
                bursts.add(1);
            }
            return frames;
        } catch (final InternalError e) {
            // A page below a ring or buffer went away. Which port's, the watching thread finds out.
            wire.suspend();
            faulted = true;
            return 0;
        }
    }

    /** Whether a memory fault suspended wires since the last {@link #resume}. Any thread. */
    boolean isFaulted() {
        return faulted;
    }

    /** Lets suspended wires go on, once the guilty port is broken. */
    void resume() {
        execute(() -> {
            faulted = false;
            for (final Wire wire : wires) {
                wire.resume();
            }
        });
    }

    /** Executes a command between turns and returns when it is done. Any thread but the worker's. */
    void execute(final Runnable command) {
        final CountDownLatch done = new CountDownLatch(1);
        commands.add(() -> {
            try {
                command.run();
            } catch (final RuntimeException | Error e) {
                LOG.error("{}: a command failed", thread.getName(), e);
            } finally {
                done.countDown();
            }
        });
        idleStrategy.wake();
        boolean interrupted = false;
        while (true) {
            try {
                done.await();
                break;
            } catch (final InterruptedException e) {
                // The caller is about to unmap what the worker uses: it has to wait.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** Command context only. */
    void watchKick(final Vring vring, final Port port) {
        idleStrategy.watchKick(vring, port);
    }

    /** Command context only. */
    void forgetKick(final Vring vring) {
        idleStrategy.forgetKick(vring);
    }

    /** Ends the thread, if it was started. Rings were stopped before. */
    void stop() {
        if (thread.isAlive()) {
            execute(() -> running = false);
        }
        try {
            thread.join();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        idleStrategy.close();
    }
}

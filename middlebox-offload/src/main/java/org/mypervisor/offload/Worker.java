package org.mypervisor.offload;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.mypervisor.virtqueue.MemoryProbe;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;

/**
 * A thread that owns rings: it gives each of its wires a turn, executes commands between turns, and idles by its
 * strategy when there is nothing to do.
 *
 * <p>Other threads never touch what a worker owns; they hand in a {@link Command} and wait for it.
 *
 * <p>A page that went away below a ring or buffer raises {@link InternalError}, by the JVM's rules possibly a little
 * after the access, so the handler stands around the whole loop. It touches no guest memory: it suspends the wires that
 * can have done it and wakes the watching thread, which finds the guilty port and calls {@link #resume}.
 */
final class Worker {
    private static final Logger LOG = LogManager.getLogger(Worker.class);

    /** The CPU of a worker that is not pinned. */
    static final int ANY_CPU = -1;

    private final int cpu;
    private final IdleStrategy idleStrategy;
    private final Runnable onFault;
    private final Thread thread;
    private final ConcurrentLinkedQueue<Command> commands = new ConcurrentLinkedQueue<>();
    private final List<Wire> assigned = new ArrayList<>();
    private Wire[] wires = {};
    private Wire current;
    private Wire previous;
    private boolean running = true;
    private volatile boolean faulted;

    final Counter bursts = new Counter();
    final Counter busyNanos = new Counter();
    final Counter idleNanos = new Counter();

    /**
     * @param cpu to run on alone, or {@link #ANY_CPU}
     * @param onFault called by this thread when it suspended wires; must not block
     */
    Worker(final int index, final int cpu, final IdleStrategy idleStrategy, final Runnable onFault) {
        this.cpu = cpu;
        this.idleStrategy = idleStrategy;
        this.onFault = onFault;
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

    /** For a wire of this worker. */
    Patience newPatience() {
        return new Patience(idleStrategy.patienceNanos());
    }

    int cpu() {
        return cpu;
    }

    private void run() {
        if (cpu != ANY_CPU && !Affinity.pinCurrentThread(cpu)) {
            LOG.warn("{} cannot be pinned to CPU {}", thread.getName(), cpu);
        }
        while (running) {
            try {
                loop();
            } catch (final InternalError e) {
                suspendSuspects();
            } catch (final RuntimeException | Error e) {
                // A mistake of ours costs the wire it happened on.
                LOG.error("{}: giving up the rings of one wire", thread.getName(), e);
                if (current != null) {
                    current.ends().breakRings(RingFault.BACK_END_ERROR);
                }
            }
        }
    }

    private void loop() {
        long before = System.nanoTime();
        while (running) {
            final boolean worked = doWork(before);
            if (worked) {
                idleStrategy.worked();
            } else if (running) {
                idle();
            }
            final long now = System.nanoTime();
            (worked ? busyNanos : idleNanos).add(now - before);
            before = now;
        }
    }

    /** One turn of every wire, after what others asked for; false when there was nothing to do. */
    private boolean doWork(final long now) {
        // A memory fault may surface between any two steps: a command is taken away only when it is done.
        for (Command command = commands.peek(); command != null; command = commands.peek()) {
            execute(command);
            commands.poll();
        }
        int turns = 0;
        for (final Wire wire : wires) {
            enter(wire);
            if (wire.forward(now) != 0) {
                turns++;
            }
        }
        bursts.add(turns);
        return turns != 0;
    }

    private void enter(final Wire wire) {
        previous = current;
        current = wire;
    }

    private void idle() {
        if (!idleStrategy.isTimeToSleep()) {
            Thread.onSpinWait();
            return;
        }
        boolean workLeft = false;
        boolean waiting = false;
        for (final Wire wire : wires) {
            enter(wire);
            workLeft |= wire.enableKicks();
            waiting |= wire.isWaiting();
        }
        if (!workLeft) {
            idleStrategy.sleep(waiting);
        }
        for (final Wire wire : wires) {
            enter(wire);
            wire.suppressKicks();
        }
        idleStrategy.worked();
    }

    private void suspendSuspects() {
        if (current != null) {
            current.suspend();
        }
        if (previous != null) {
            previous.suspend();
        }
        faulted = true;
        onFault.run();
    }

    /** Whether a memory fault suspended wires since the last {@link #resume}. Any thread. */
    boolean isFaulted() {
        return faulted;
    }

    /**
     * The ports whose memory cannot be had. All wires are asked: the error may have surfaced some turns after the access.
     * Between two wires the others have their turns. Any thread but the worker's.
     */
    Set<Port> culprits(final MemoryProbe probe) {
        final Set<Port> culprits = new HashSet<>();
        for (final Wire wire : wires) {
            execute(() -> wire.ends().findCulprits(probe, culprits));
        }
        return culprits;
    }

    /** Lets suspended wires go on, once the guilty port is broken. Any thread but the worker's. */
    void resume() {
        faulted = false;
        execute(() -> {
            for (final Wire wire : wires) {
                enter(wire);
                wire.resume();
            }
        });
    }

    /** A late memory fault of some wire may surface in a command that has nothing to do with it: it is repeated. */
    private void execute(final Command command) {
        for (int tries = 1; ; tries++) {
            try {
                command.run();
                return;
            } catch (final InternalError e) {
                suspendSuspects();
                if (tries == Command.TRIES) {
                    command.fail(e);
                    return;
                }
            } catch (final RuntimeException | Error e) {
                command.fail(e);
                return;
            }
        }
    }

    /**
     * Executes an action between turns and returns when it is done. Any thread but the worker's. The action may be
     * repeated.
     *
     * @throws IllegalStateException when it was not done: then the worker may still use what it used before
     */
    void execute(final Runnable action) {
        final Command command = new Command(action);
        commands.add(command);
        idleStrategy.wake();
        command.await(thread);
    }

    /** Command context only. */
    void watchKick(final RunningQueue vring, final Port port) {
        idleStrategy.watchKick(vring, port);
    }

    /** Command context only. */
    void forgetKick(final RunningQueue vring) {
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

package dev.mdev.gpu;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.LockSupport;

/// The GPU's one engine, and the scheduler that shares it among the devices.
///
/// Rounds go over all queues (deficit round robin). In a round a device may use its weight times
/// [#SLICE_UNITS]; an overdraft, of a part of a step, comes off its next round; an unused rest is
/// lost, so that idle devices save up nothing. Work is counted in units, never in time, so that the
/// same commands are always scheduled in the same way.
///
/// A queue that stops leaves the round, and a started queue joins the next: so a flood of bad
/// commands costs the others one command per round, however fast its guest restarts.
final class Engine implements AutoCloseable {
    /// Units a round for a device of weight 1: 64 KiB moved.
    static final long SLICE_UNITS = 1024;

    /// Rounds without work after which the engine goes to sleep, and the time between them. Arming
    /// a doorbell costs the guest a fault, and checking costs the host a processor: about 2 ms of
    /// checking is a compromise.
    private static final int MAX_IDLE_ROUNDS = 40;

    private static final long IDLE_ROUND_NANOS = 50_000;

    private final String name;
    private final boolean hasThread;
    private final CopyOnWriteArrayList<CommandQueue> queues = new CopyOnWriteArrayList<>();

    /// The remaining budget or overdraft of each queue. Only the thread that runs rounds touches
    /// it.
    private final Map<CommandQueue, Long> credits = new HashMap<>();

    @GuardedBy("this")
    private @Nullable Thread thread;

    @GuardedBy("this")
    private boolean wanted;

    @GuardedBy("this")
    private boolean closed;

    /// @param name the GPU's, for the name of the thread
    /// @param hasThread false for tests, which then run rounds themselves
    Engine(String name, boolean hasThread) {
        this.name = name + "-engine";
        this.hasThread = hasThread;
    }

    /// Adds a device's queue. The first one starts the thread.
    void add(CommandQueue queue) {
        var _ = queues.addIfAbsent(queue);
        synchronized (this) {
            if (hasThread && thread == null && !closed) {
                thread = Thread.ofPlatform().daemon().name(name).start(this::run);
            }
        }
    }

    /// Removes a queue, whose device does no step until it is added again.
    void remove(CommandQueue queue) {
        var _ = queues.remove(queue);
    }

    /// Announces possible work in a queue. Any thread may call it.
    synchronized void wake() {
        wanted = true;
        notifyAll();
    }

    /// One round over all queues.
    ///
    /// @return units of work done
    long runRound() {
        credits.keySet().retainAll(queues);
        long total = 0;
        for (CommandQueue queue : queues) {
            queue.beginRound();
            long credit = credits.getOrDefault(queue, 0L) + queue.weight() * SLICE_UNITS;
            while (credit > 0) {
                long used = queue.step(credit);
                if (used == 0) {
                    credit = 0;
                } else {
                    credit -= used;
                    total += used;
                }
            }
            credits.put(queue, credit);
        }
        return total;
    }

    /// Arms all doorbells.
    ///
    /// @return whether there is nothing to do
    boolean armAll() {
        boolean idle = true;
        for (CommandQueue queue : queues) {
            idle &= queue.armIfIdle();
        }
        return idle;
    }

    private void run() {
        int idleRounds = 0;
        while (!isClosed()) {
            if (runRound() > 0) {
                idleRounds = 0;
            } else if (++idleRounds < MAX_IDLE_ROUNDS) {
                LockSupport.parkNanos(this, IDLE_ROUND_NANOS);
            } else {
                idleRounds = 0;
                if (armAll()) {
                    sleep();
                }
            }
        }
    }

    private synchronized void sleep() {
        try {
            while (!wanted && !closed) {
                wait();
            }
        } catch (InterruptedException e) {
            // A spurious wake-up costs only one more check.
        }
        wanted = false;
    }

    private synchronized boolean isClosed() {
        return closed;
    }

    /// Ends the thread. All queues are removed already.
    @Override
    public void close() {
        Thread last;
        synchronized (this) {
            closed = true;
            last = thread;
            notifyAll();
        }
        if (last != null) {
            LockSupport.unpark(last);
            try {
                last.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}

package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/// Separates the steps of a device from the callbacks that need it to stand still, as the host
/// does: see [dev.mdev.api.MdevContext#runStep].
final class StepGate {
    private final Duration deadline;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition none = lock.newCondition();
    private final Condition free = lock.newCondition();

    @GuardedBy("lock")
    private int running;

    @GuardedBy("lock")
    private int holds;

    /// @param deadline how long a callback waits for a step that runs
    StepGate(Duration deadline) {
        this.deadline = deadline;
    }

    boolean run(Runnable step) {
        lock.lock();
        try {
            if (holds > 0) {
                return false;
            }
            running++;
        } finally {
            lock.unlock();
        }
        try {
            step.run();
        } finally {
            lock.lock();
            try {
                running--;
                none.signalAll();
            } finally {
                lock.unlock();
            }
        }
        return true;
    }

    /// Waits until no callback needs the device to stand still, and runs a step then.
    ///
    /// @param over whether to wait no longer; looked at after [#wakeWaiting]
    /// @return whether it ran
    boolean runWhenFree(Runnable step, BooleanSupplier over) {
        while (!over.getAsBoolean()) {
            if (run(step)) {
                return true;
            }
            lock.lock();
            try {
                if (holds > 0 && !over.getAsBoolean()) {
                    free.awaitUninterruptibly();
                }
            } finally {
                lock.unlock();
            }
        }
        return false;
    }

    /// Lets those who wait for their step look whether they still should.
    void wakeWaiting() {
        lock.lock();
        try {
            free.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Blocks new steps until [#release], and waits for running ones.
    ///
    /// @param what the next callback, for messages
    /// @throws ContractViolation if one does not end; there is nothing to release then
    void hold(String what) {
        lock.lock();
        try {
            holds++;
            long nanos = deadline.toNanos();
            while (running > 0) {
                if (nanos <= 0) {
                    holds--;
                    free.signalAll();
                    throw new ContractViolation(
                            "%s waits for a step that has not ended within %d ms"
                                    .formatted(what, deadline.toMillis()));
                }
                nanos = none.awaitNanos(nanos);
            }
        } catch (InterruptedException e) {
            holds--;
            free.signalAll();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted in " + what, e);
        } finally {
            lock.unlock();
        }
    }

    void release() {
        lock.lock();
        try {
            holds--;
            free.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Runs an action while no step runs.
    void still(String what, Runnable body) {
        hold(what);
        try {
            body.run();
        } finally {
            release();
        }
    }
}

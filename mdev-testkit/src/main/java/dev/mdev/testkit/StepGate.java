package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.time.Duration;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Separates the steps of a device from the callbacks that need it to stand still, as the host
/// does: see [dev.mdev.api.MdevContext#runStep].
final class StepGate {
    private final Duration deadline;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition none = lock.newCondition();

    @GuardedBy("lock")
    private int running;

    @GuardedBy("lock")
    private int holds;

    /// @param deadline the maximum time of a step
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
                    throw new ContractViolation(
                            "%s waits for a step that has not ended within %d ms"
                                    .formatted(what, deadline.toMillis()));
                }
                nanos = none.awaitNanos(nanos);
            }
        } catch (InterruptedException e) {
            holds--;
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

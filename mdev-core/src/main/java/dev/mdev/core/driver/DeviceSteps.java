package dev.mdev.core.driver;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sync.Cancellation;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The steps that a device does by itself, and the host's way to stop it between steps.
///
/// A verb that needs the device to stand still [holds][#hold] it first, then [waits][#awaitNone],
/// and only then takes the device's turn. A step that needs the turn, because its DMA reaches a
/// region of this same device, either gets it, or is cancelled by the hold: so the two never wait
/// for each other.
final class DeviceSteps {
    /// Bound while the thread runs a step of any device.
    private static final ScopedValue<Boolean> IN_STEP = ScopedValue.newInstance();

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition none = lock.newCondition();

    @GuardedBy("lock")
    private final List<Step> running = new ArrayList<>();

    /// The number of holds.
    @GuardedBy("lock")
    private int holds;

    private record Step(RunningCall call, Cancellation cancellation) {}

    /// Runs a step, unless the device must stand still.
    ///
    /// @param name for messages
    /// @return whether it ran
    /// @throws MdevException EDEADLK from inside a step
    boolean run(String name, Runnable body) {
        if (IN_STEP.isBound()) {
            throw new MdevException(Errno.EDEADLK, "a step begins no other");
        }
        Step step = new Step(RunningCall.begin(name), new Cancellation(Errno.ECANCELED));
        if (!enter(step)) {
            return false;
        }
        try {
            ScopedValue.where(IN_STEP, true).run(() -> step.cancellation.run(body));
        } finally {
            leave(step);
        }
        return true;
    }

    private boolean enter(Step step) {
        lock.lock();
        try {
            return holds == 0 && running.add(step);
        } finally {
            lock.unlock();
        }
    }

    private void leave(Step step) {
        lock.lock();
        try {
            running.remove(step);
            none.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Blocks new steps until [#release], and ends the waits of running ones.
    void hold() {
        lock.lock();
        try {
            holds++;
            running.forEach(step -> step.cancellation.cancel());
        } finally {
            lock.unlock();
        }
    }

    /// Undoes one [#hold].
    ///
    /// @return whether steps may begin
    boolean release() {
        lock.lock();
        try {
            holds--;
            return holds == 0;
        } finally {
            lock.unlock();
        }
    }

    /// Whether the device must stand still.
    boolean isHeld() {
        lock.lock();
        try {
            return holds > 0;
        } finally {
            lock.unlock();
        }
    }

    /// Waits until no step runs. After [#hold].
    ///
    /// @return false if one is still running after `timeoutNanos`
    boolean awaitNone(long timeoutNanos) throws InterruptedException {
        lock.lock();
        try {
            long nanos = timeoutNanos;
            while (!running.isEmpty()) {
                if (nanos <= 0) {
                    return false;
                }
                nanos = none.awaitNanos(nanos);
            }
            return true;
        } finally {
            lock.unlock();
        }
    }

    /// Whether a step runs on this thread, which would wait for itself.
    boolean isMine() {
        return running().stream().anyMatch(step -> step.thread().equals(Thread.currentThread()));
    }

    /// The same, without a limit.
    void awaitNoneUninterruptibly() {
        lock.lock();
        try {
            while (!running.isEmpty()) {
                none.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    /// The running steps.
    List<RunningCall> running() {
        lock.lock();
        try {
            return running.stream().map(Step::call).toList();
        } finally {
            lock.unlock();
        }
    }
}

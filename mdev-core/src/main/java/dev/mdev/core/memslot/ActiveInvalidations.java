package dev.mdev.core.memslot;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Counts the running invalidations of host memory, and publishes slot sets only between them
/// (Linux `mn_active_invalidate_count`).
///
/// Both ends of an invalidation look up slots by host address, and must see the same slots.
final class ActiveInvalidations {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition none = lock.newCondition();

    @GuardedBy("lock")
    private int active;

    void begin() {
        lock.lock();
        try {
            active++;
        } finally {
            lock.unlock();
        }
    }

    void end() {
        lock.lock();
        try {
            if (active == 0) {
                throw new IllegalStateException("an invalidation ended that did not begin");
            }
            if (--active == 0) {
                none.signalAll();
            }
        } finally {
            lock.unlock();
        }
    }

    /// Waits until no invalidation is running, and runs `publication` before another can begin.
    void runBetween(Runnable publication) {
        lock.lock();
        try {
            while (active != 0) {
                // As in Linux, not interruptible: the caller is in the middle of a change.
                none.awaitUninterruptibly();
            }
            publication.run();
        } finally {
            lock.unlock();
        }
    }
}

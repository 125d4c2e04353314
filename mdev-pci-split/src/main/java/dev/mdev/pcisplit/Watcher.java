package dev.mdev.pcisplit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// A thread that waits and looks in turns, until it is closed.
final class Watcher implements AutoCloseable {
    /// No limit of a wait, in nanoseconds.
    static final long FOREVER = Long.MAX_VALUE;

    private final Thread thread;

    /// A leaf.
    private final ReentrantLock lock = new ReentrantLock();

    private final Condition changed = lock.newCondition();

    @GuardedBy("lock")
    private boolean isClosed;

    @GuardedBy("lock")
    private boolean isWoken;

    /// @param name the thread's
    /// @param work what it does; it returns soon after [#await] does not let it go on
    Watcher(String name, Runnable work) {
        thread = Thread.ofPlatform().daemon().name(name).unstarted(work);
    }

    void start() {
        thread.start();
    }

    /// Ends the wait in progress, or else the next one. Any thread.
    void wake() {
        lock.lock();
        try {
            isWoken = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Waits until somebody wakes the thread, which alone calls this, or the time is over.
    ///
    /// @return whether it goes on; false after [#close]
    boolean await(long nanos) {
        lock.lock();
        try {
            long rest = nanos;
            while (!isClosed && !isWoken && rest > 0) {
                rest = changed.awaitNanos(rest);
            }
            isWoken = false;
            return !isClosed;
        } catch (InterruptedException e) {
            // Nobody but the end of the process interrupts this thread.
            return false;
        } finally {
            lock.unlock();
        }
    }

    /// Ends the thread, and waits for its end, also if the caller is interrupted; it stays so.
    @Override
    public void close() {
        lock.lock();
        try {
            isClosed = true;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}

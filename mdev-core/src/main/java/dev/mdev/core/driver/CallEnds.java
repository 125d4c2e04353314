package dev.mdev.core.driver;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// Signals the end of each call and step of one driver object to waiting threads. Any thread may
/// call all methods; the lock is a leaf.
final class CallEnds {
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition ended = lock.newCondition();

    /// So that an end costs nothing while nobody waits.
    private final AtomicInteger waiting = new AtomicInteger();

    /// The number of ends while a thread waited.
    @GuardedBy("lock")
    private long ends;

    /// A call or a step has ended.
    void signal() {
        if (waiting.get() == 0) {
            return;
        }
        lock.lock();
        try {
            ends++;
            ended.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /// Waits for the next end, or until the time is over.
    void await(long nanos) throws InterruptedException {
        lock.lockInterruptibly();
        waiting.incrementAndGet();
        try {
            long before = ends;
            long left = nanos;
            while (ends == before && left > 0) {
                left = ended.awaitNanos(left);
            }
        } finally {
            waiting.decrementAndGet();
            lock.unlock();
        }
    }
}

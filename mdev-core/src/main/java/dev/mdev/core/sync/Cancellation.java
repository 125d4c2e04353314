package dev.mdev.core.sync;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// Ends the waits of a thread from outside, while the thread does one piece of work.
///
/// Only an interrupt ends a wait for a lock. So the canceller interrupts the thread, but only while
/// it waits here, and the interrupt is consumed here: other code never sees it.
public final class Cancellation {
    private static final ScopedValue<Cancellation> CURRENT = ScopedValue.newInstance();

    private final Errno errno;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private @Nullable Thread waiter;

    @GuardedBy("lock")
    private boolean cancelled;

    /// Whether [#cancel] interrupted the waiting thread.
    @GuardedBy("lock")
    private boolean signalled;

    /// @param errno what an ended wait is told as
    public Cancellation(Errno errno) {
        this.errno = errno;
    }

    /// How a wait ended.
    public enum Waited {
        /// The awaited condition holds.
        DONE,
        /// It does not hold, and the time is over.
        TIMED_OUT,
        /// The work must end; the condition may or may not hold.
        CANCELLED
    }

    /// A bounded wait.
    @FunctionalInterface
    public interface TimedWait {
        /// @return false if the time is over
        boolean await() throws InterruptedException;
    }

    /// Does the work whose waits [#cancel] ends.
    public void run(Runnable work) {
        ScopedValue.where(CURRENT, this).run(work);
    }

    /// The same, for work with a result.
    public <R> R get(Supplier<R> work) {
        return ScopedValue.where(CURRENT, this).call(work::get);
    }

    /// What an ended wait of this thread is told as.
    ///
    /// @throws java.util.NoSuchElementException if the thread does no work that can be cancelled
    public static Errno errno() {
        return CURRENT.get().errno;
    }

    /// Whether the work of this thread was cancelled.
    public static boolean isCancelled() {
        return CURRENT.isBound() && CURRENT.get().wasCancelled();
    }

    private boolean wasCancelled() {
        lock.lock();
        try {
            return cancelled;
        } finally {
            lock.unlock();
        }
    }

    /// Ends the current wait, and all later ones in the same work.
    public void cancel() {
        lock.lock();
        try {
            cancelled = true;
            if (waiter != null) {
                signalled = true;
                waiter.interrupt();
            }
        } finally {
            lock.unlock();
        }
    }

    /// Waits, unless or until this thread's work is cancelled.
    ///
    /// @throws InterruptedException if the thread is interrupted for another reason
    public static Waited await(TimedWait wait) throws InterruptedException {
        if (!CURRENT.isBound()) {
            return wait.await() ? Waited.DONE : Waited.TIMED_OUT;
        }
        return CURRENT.get().awaitOrCancelled(wait);
    }

    /// The same for this work, on any thread.
    Waited awaitOrCancelled(TimedWait wait) throws InterruptedException {
        if (!enter()) {
            return Waited.CANCELLED;
        }
        boolean done;
        try {
            done = wait.await();
        } catch (InterruptedException e) {
            if (leave()) {
                return Waited.CANCELLED;
            }
            throw e;
        } catch (RuntimeException | Error e) {
            var _ = leave();
            throw e;
        }
        // An acquired lock is kept, although the work must end: the caller releases it.
        var _ = leave();
        return done ? Waited.DONE : Waited.TIMED_OUT;
    }

    private boolean enter() {
        lock.lock();
        try {
            waiter = cancelled ? null : Thread.currentThread();
            return waiter != null;
        } finally {
            lock.unlock();
        }
    }

    /// @return whether [#cancel] came while the thread waited
    private boolean leave() {
        lock.lock();
        try {
            waiter = null;
            boolean ours = signalled;
            signalled = false;
            if (ours) {
                // The signal may still be pending, if the condition came true at the same time.
                var _ = Thread.interrupted();
            }
            return ours;
        } finally {
            lock.unlock();
        }
    }
}

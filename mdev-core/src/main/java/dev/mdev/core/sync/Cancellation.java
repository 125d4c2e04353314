package dev.mdev.core.sync;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.locks.ReentrantLock;

/// Ends the waits of a thread from outside, as long as the thread does one piece of work.
///
/// A lock that is waited for takes no second signal but an interrupt. So the one who cancels
/// interrupts the thread, but only while it waits here, and the interrupt is consumed here: code
/// that knows nothing of this never sees it.
public final class Cancellation {
    private static final ScopedValue<Cancellation> CURRENT = ScopedValue.newInstance();

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private @Nullable Thread waiter;

    @GuardedBy("lock")
    private boolean cancelled;

    /// Whether the waiting thread was interrupted from here.
    @GuardedBy("lock")
    private boolean signalled;

    /// How a wait ended.
    public enum Waited {
        /// What was waited for is there.
        DONE,
        /// It is not, and the time is over.
        TIMED_OUT,
        /// It may or may not be: the work is to end.
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

    /// Whether this thread does work that can be cancelled.
    public static boolean isBound() {
        return CURRENT.isBound();
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

    /// Ends the wait that is under way, and all that follow in the same work.
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

    /// Waits, unless the work that this thread does is cancelled, or until it is.
    ///
    /// @throws InterruptedException if the thread is interrupted by anybody else
    public static Waited await(TimedWait wait) throws InterruptedException {
        if (!CURRENT.isBound()) {
            return wait.await() ? Waited.DONE : Waited.TIMED_OUT;
        }
        return CURRENT.get().awaitOrCancelled(wait);
    }

    private Waited awaitOrCancelled(TimedWait wait) throws InterruptedException {
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
        // What was got is kept, although the work is to end: to give it back is not ours.
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
                // The signal may still be pending, if what was waited for came at the same time.
                var _ = Thread.interrupted();
            }
            return ours;
        } finally {
            lock.unlock();
        }
    }
}

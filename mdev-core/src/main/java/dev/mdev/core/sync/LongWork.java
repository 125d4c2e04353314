package dev.mdev.core.sync;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;

import org.jspecify.annotations.Nullable;

import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// A piece of work that may take long, as others see it: what it does, how far it is, and whether
/// it is to end early.
///
/// The code that works tells of itself, waits by [#awaitNanos] where it may be ended, and passes
/// [#noReturn] where it can only be completed. Nobody needs to look.
///
/// Any thread may call all methods. Lock: `lock`, a leaf.
public final class LongWork {
    private static final ScopedValue<LongWork> CURRENT = ScopedValue.newInstance();

    private final Cancellation waits = new Cancellation(Errno.ECANCELED);
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private boolean cancelled;

    /// Why the work cannot be ended any more; null while it can.
    @GuardedBy("lock")
    private @Nullable String noReturn;

    @GuardedBy("lock")
    private String doing = "";

    @GuardedBy("lock")
    private @Nullable Progress progress;

    /// How much of the work is done.
    ///
    /// @param unit what is counted, such as `pages`
    public record Progress(String unit, long done, long total) {}

    /// Work with a result.
    @FunctionalInterface
    public interface Work<R extends @Nullable Object, X extends Throwable> {
        R run() throws X;
    }

    /// The work that this thread does; work at which nobody looks if there is none.
    public static LongWork current() {
        return CURRENT.orElse(new LongWork());
    }

    /// Does the work.
    public <R extends @Nullable Object, X extends Throwable> R call(Work<R, X> work) throws X {
        return ScopedValue.where(CURRENT, this).call(work::run);
    }

    /// Ends the work early: where it waits now, or at the next place where it can be ended.
    ///
    /// @return why it cannot be ended, if so
    public Optional<String> cancel() {
        lock.lock();
        try {
            if (noReturn != null) {
                return Optional.of(noReturn);
            }
            cancelled = true;
        } finally {
            lock.unlock();
        }
        waits.cancel();
        return Optional.empty();
    }

    /// Why [#cancel] would refuse now, if it would.
    public Optional<String> whyNotCancellable() {
        lock.lock();
        try {
            return Optional.ofNullable(noReturn);
        } finally {
            lock.unlock();
        }
    }

    /// Ends the work here if it is to end early.
    ///
    /// @throws CancelledException if so
    public void requireGoingOn() {
        lock.lock();
        try {
            requireGoingOnLocked();
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void requireGoingOnLocked() {
        if (cancelled) {
            throw new CancelledException();
        }
    }

    /// From now on, the work can only be completed.
    ///
    /// @param why the reason that [#cancel] returns from now on
    /// @throws CancelledException if it is to end early
    public void noReturn(String why) {
        lock.lock();
        try {
            requireGoingOnLocked();
            noReturn = why;
        } finally {
            lock.unlock();
        }
    }

    /// Waits for a signal, as [Condition#awaitNanos].
    ///
    /// @throws CancelledException if the work of this thread is to end early
    @SuppressWarnings("WaitNotInLoop") // the caller loops, as with the condition itself
    public static long awaitNanos(Condition condition, long nanos) throws InterruptedException {
        if (!CURRENT.isBound()) {
            return condition.awaitNanos(nanos);
        }
        long end = System.nanoTime() + nanos;
        Cancellation.TimedWait wait = () -> condition.awaitNanos(nanos) > 0;
        if (CURRENT.get().waits.awaitOrCancelled(wait) == Cancellation.Waited.CANCELLED) {
            throw new CancelledException();
        }
        return end - System.nanoTime();
    }

    /// Tells what the work does now, for people.
    public void doing(String what) {
        lock.lock();
        try {
            doing = what;
        } finally {
            lock.unlock();
        }
    }

    /// Tells how much there is to do, of which nothing is done yet.
    public void begin(String unit, long total) {
        lock.lock();
        try {
            progress = new Progress(unit, 0, total);
        } finally {
            lock.unlock();
        }
    }

    /// Tells that more is done.
    public void add(long count) {
        lock.lock();
        try {
            Progress now = progress;
            if (now != null) {
                progress = new Progress(now.unit, now.done + count, now.total);
            }
        } finally {
            lock.unlock();
        }
    }

    /// What the work does now; empty if it has not told.
    public String doing() {
        lock.lock();
        try {
            return doing;
        } finally {
            lock.unlock();
        }
    }

    /// How much is done, if that is known.
    public Optional<Progress> progress() {
        lock.lock();
        try {
            return Optional.ofNullable(progress);
        } finally {
            lock.unlock();
        }
    }
}

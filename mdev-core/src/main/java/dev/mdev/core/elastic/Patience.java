package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sync.Cancellation;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;

/// How long one request for a page waits, and what it met.
final class Patience {
    private final long startNanos = System.nanoTime();
    private final long deadlineNanos;
    private final String what;
    private int storeFailures;

    Patience(String what, long deadlineNanos) {
        this.what = what;
        this.deadlineNanos = deadlineNanos;
    }

    /// Waits for a signal, or `mostNanos`.
    ///
    /// @param changed its lock is held
    /// @throws MdevException ETIMEDOUT after the deadline, ECANCELED (or the like) if the work of
    ///   this thread must end, EINTR if it is interrupted
    @SuppressWarnings("WaitNotInLoop") // the caller looks again
    void await(Condition changed, long mostNanos) {
        long restNanos = deadlineNanos - (System.nanoTime() - startNanos);
        if (restNanos <= 0) {
            throw new MdevException(
                    Errno.ETIMEDOUT,
                    "no page within %d ms: %s"
                            .formatted(TimeUnit.NANOSECONDS.toMillis(deadlineNanos), what));
        }
        long nanos = Math.min(restNanos, mostNanos);
        try {
            Cancellation.Waited waited =
                    Cancellation.await(() -> {
                        var _ = changed.awaitNanos(nanos);
                        return true;
                    });
            if (waited == Cancellation.Waited.CANCELLED) {
                throw new MdevException(
                        Cancellation.errno(), "the step or program that waits must end: " + what);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted: " + what, e);
        }
    }

    /// Notes that content could not be written away.
    ///
    /// @throws MdevException the same, if it was not the first time: trying on would wait for a
    ///   store that is full or broken
    void storeFailed(MdevException trouble) {
        storeFailures++;
        if (storeFailures > 1) {
            throw new MdevException(
                    trouble.errno(),
                    "no page: %s: %s".formatted(what, trouble.getMessage()),
                    trouble);
        }
    }
}

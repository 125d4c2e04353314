package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// The turnstile in front of one driver object: lets one call in at a time, measures it, and turns
/// what it throws into a value.
///
/// A call runs on its caller's thread: a hand-over to a thread of the driver's own would cost more
/// than most calls. A call that never returns therefore keeps its caller, but nobody else: who
/// waits for the turn gives up after the deadline, and [#overdue] shows the call to whoever
/// watches. Calls may nest, as when a device reads guest memory that is its own BAR.
final class DriverCalls {
    private final String owner;
    private final Duration deadline;
    private final CallObserver observer;
    private final ReentrantLock serial = new ReentrantLock(true);

    /// The outermost call that is running. Written by the holder of `serial`.
    private volatile @Nullable Running running;

    /// @param owner the object's name, for messages
    /// @param deadline the longest a call may take, and wait for its turn
    DriverCalls(String owner, Duration deadline, CallObserver observer) {
        this.owner = owner;
        this.deadline = deadline;
        this.observer = observer;
    }

    /// A call that is running.
    ///
    /// @param sinceNanos its start by [System#nanoTime]
    record Running(String callback, long sinceNanos, Thread thread) {
        CallReport report(String owner, boolean finished) {
            return new CallReport(
                    owner, callback, System.nanoTime() - sinceNanos, thread.getName(), finished);
        }
    }

    /// Is told of every finished call.
    @FunctionalInterface
    interface CallObserver {
        void finished(String owner, String callback, long durationNanos);
    }

    /// Calls driver code.
    ///
    /// @param callback the method's name, for messages
    <T> DriverOutcome<T> call(String callback, Supplier<T> body) {
        try {
            if (!serial.tryLock(deadline.toNanos(), TimeUnit.NANOSECONDS)) {
                return busy(callback);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return new DriverOutcome.Failed<>(
                    Errno.EINTR, owner + " " + callback + ": interrupted while waiting");
        }
        return callInTurn(callback, body);
    }

    /// Calls driver code, however long it takes until its turn comes: for the one call that must be
    /// made, on a thread that has nothing else to do.
    <T> DriverOutcome<T> callWheneverFree(String callback, Supplier<T> body) {
        serial.lock();
        return callInTurn(callback, body);
    }

    /// Calls driver code; the caller holds `serial`, once more than after it.
    private <T> DriverOutcome<T> callInTurn(String callback, Supplier<T> body) {
        Running outer = running;
        long start = System.nanoTime();
        if (outer == null) {
            running = new Running(callback, start, Thread.currentThread());
        }
        try {
            T value = body.get();
            return value == null
                    ? failed(Errno.EIO, callback, "returned null")
                    : new DriverOutcome.Returned<>(value);
        } catch (MdevException e) {
            return failed(e.errno(), callback, e.getMessage());
        } catch (RuntimeException | LinkageError | StackOverflowError | AssertionError e) {
            return failed(Errno.EIO, callback, "threw " + e);
        } finally {
            if (outer == null) {
                running = null;
            }
            serial.unlock();
            observer.finished(owner, callback, System.nanoTime() - start);
        }
    }

    private <T> DriverOutcome<T> failed(Errno errno, String callback, String what) {
        return new DriverOutcome.Failed<>(errno, owner + " " + callback + ": " + what);
    }

    private <T> DriverOutcome<T> busy(String callback) {
        Running other = running;
        String with = other == null ? "other calls" : other.callback();
        return failed(
                Errno.ETIMEDOUT,
                callback,
                "no turn within %d ms, the driver is busy with %s"
                        .formatted(deadline.toMillis(), with));
    }

    /// Whose calls these are.
    String owner() {
        return owner;
    }

    /// The call that is running, if one is.
    Optional<Running> running() {
        return Optional.ofNullable(running);
    }

    /// The call that has been running longer than the deadline, if one has.
    Optional<Running> overdue() {
        return Optional.ofNullable(running)
                .filter(call -> System.nanoTime() - call.sinceNanos() > deadline.toNanos());
    }

    @Override
    public String toString() {
        return "calls of " + Objects.requireNonNull(owner);
    }
}

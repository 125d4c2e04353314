package dev.mdev.core.driver;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Supplier;

/// Calls of one object that run outside its turn, one at a time, each on a thread that the caller
/// leaves behind if the call does not return. At most one thread of an object is left behind.
final class AsideCalls {
    private static final ExecutorService THREADS =
            Executors.newCachedThreadPool(
                    Thread.ofPlatform().daemon().name("mdev-aside-", 0).factory());

    private final Duration deadline;
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition none = lock.newCondition();

    @GuardedBy("lock")
    private @Nullable RunningCall running;

    @GuardedBy("lock")
    private boolean ended;

    AsideCalls(Duration deadline) {
        this.deadline = deadline;
    }

    /// How a call ended for its caller.
    sealed interface Result<T> {}

    record Returned<T>(T value) implements Result<T> {}

    record NotReturned<T>(Errno errno, String what) implements Result<T> {}

    <T> Result<T> run(String callback, Supplier<T> body) {
        Optional<Result<T>> refused = begin(callback);
        if (refused.isPresent()) {
            return refused.get();
        }
        CompletableFuture<T> value = new CompletableFuture<>();
        try {
            THREADS.execute(() -> call(callback, body, value));
        } catch (RuntimeException | Error e) {
            finish();
            throw e;
        }
        return await(callback, value);
    }

    private <T> void call(String callback, Supplier<T> body, CompletableFuture<T> value) {
        lock.lock();
        try {
            running = RunningCall.begin(callback);
        } finally {
            lock.unlock();
        }
        // The caller may call again as soon as it has the value: this call is over by then.
        try {
            T made = body.get();
            finish();
            value.complete(made);
        } catch (RuntimeException | Error e) {
            finish();
            value.completeExceptionally(e);
        }
    }

    private <T> Optional<Result<T>> begin(String callback) {
        lock.lock();
        try {
            if (ended) {
                return Optional.of(new NotReturned<>(Errno.ENODEV, "the device has ended"));
            }
            if (running != null) {
                return Optional.of(
                        new NotReturned<>(Errno.EBUSY, "the last one has not returned yet"));
            }
            running = RunningCall.begin(callback);
            return Optional.empty();
        } finally {
            lock.unlock();
        }
    }

    private void finish() {
        lock.lock();
        try {
            running = null;
            none.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private <T> Result<T> await(String callback, CompletableFuture<T> value) {
        boolean interrupted = false;
        long end = System.nanoTime() + deadline.toNanos();
        try {
            while (true) {
                try {
                    return new Returned<>(
                            value.get(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS));
                } catch (InterruptedException e) {
                    // The wait is short and bounded, and the caller has work in progress.
                    interrupted = true;
                }
            }
        } catch (TimeoutException e) {
            return new NotReturned<>(
                    Errno.ETIMEDOUT,
                    "%s does not return within %d ms".formatted(callback, deadline.toMillis()));
        } catch (ExecutionException e) {
            throw new IllegalStateException(callback, e.getCause());
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    Optional<RunningCall> running() {
        lock.lock();
        try {
            return Optional.ofNullable(running);
        } finally {
            lock.unlock();
        }
    }

    /// Waits, without a limit, for a running call. None begins after it.
    void end() {
        lock.lock();
        try {
            ended = true;
            while (running != null) {
                none.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }
}

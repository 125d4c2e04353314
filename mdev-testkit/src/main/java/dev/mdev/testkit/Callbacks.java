package dev.mdev.testkit;

import dev.mdev.api.MdevException;

import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Collectors;

/// Calls a driver as the host does: one call at a time, with a deadline.
///
/// Each call runs on a thread of its own kind, so that a driver that never comes back does not keep
/// the test: it is a violation, whose message shows where the driver waits.
final class Callbacks implements AutoCloseable {
    private final Duration deadline;
    private final ReentrantLock oneAtATime = new ReentrantLock();
    private final ExecutorService executor;
    private volatile Thread thread = Thread.currentThread();
    private volatile boolean blocked;

    /// @param group the group of the calling thread, and so of the threads that the driver starts
    Callbacks(String name, Duration deadline, ThreadGroup group) {
        this.deadline = deadline;
        this.executor =
                Executors.newSingleThreadExecutor(body ->
                        thread =
                                Thread.ofPlatform()
                                        .group(group)
                                        .daemon()
                                        .name(name)
                                        .unstarted(body));
    }

    /// Calls the driver.
    ///
    /// @param what the method and its arguments, for messages
    /// @throws MdevException if the driver throws one
    /// @throws ContractViolation if the driver throws something else, returns null, or does not
    ///   come back
    <T> T call(String what, Callable<T> body) {
        T answer = callOnce(what, body);
        if (answer == null) {
            throw new ContractViolation(what + " returned null");
        }
        return answer;
    }

    /// Calls a method of the driver that returns nothing.
    void run(String what, Runnable body) {
        call(what, Executors.callable(body, true));
    }

    private <T> T callOnce(String what, Callable<T> body) {
        oneAtATime.lock();
        try {
            if (blocked) {
                throw new ContractViolation(what + ": an earlier call has not come back");
            }
            return await(what, executor.submit(body));
        } finally {
            oneAtATime.unlock();
        }
    }

    private <T> T await(String what, Future<T> answer) {
        try {
            return answer.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            blocked = true;
            String stack = stackOf(thread);
            answer.cancel(true);
            throw new ContractViolation(
                    "%s has not come back within %d ms; it is at%n%s"
                            .formatted(what, deadline.toMillis(), stack),
                    e);
        } catch (ExecutionException e) {
            throw translate(what, Objects.requireNonNullElse(e.getCause(), e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted in " + what, e);
        }
    }

    private static RuntimeException translate(String what, Throwable thrown) {
        return switch (thrown) {
            case MdevException expected -> expected;
            case ContractViolation violation -> throw violation;
            default -> throw new ContractViolation(what + " threw " + thrown, thrown);
        };
    }

    private static String stackOf(Thread thread) {
        return Arrays.stream(thread.getStackTrace())
                .limit(12)
                .map(frame -> "    " + frame)
                .collect(Collectors.joining(System.lineSeparator()));
    }

    @Override
    public void close() {
        executor.shutdownNow();
    }
}

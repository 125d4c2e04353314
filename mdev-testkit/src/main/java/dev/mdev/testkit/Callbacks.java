package dev.mdev.testkit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.Collectors;

/// Calls a driver as the host does: one call at a time, or accesses beside each other if the device
/// wants it so, and with a deadline.
///
/// Each call runs on a thread of its own, so that a driver that never returns does not block the
/// test: it is a violation, and the message shows where the driver waits.
final class Callbacks implements AutoCloseable {
    /// The most characters of a text that a driver answers with.
    static final int MOST_TEXT_CHARS = 1024;

    /// Calls that may take more than a tenth of the deadline: a busy machine delays some.
    private static final int MOST_LATE_CALLS = 20;

    /// A call that takes no longer is never late, even under a short deadline.
    private static final long NEVER_LATE_NANOS = 100_000_000;

    /// Deadlines that a call may take on a machine that is too busy for it.
    private static final int MOST_WAITS = 6;

    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    private final Duration deadline;
    private final ReentrantReadWriteLock turn = new ReentrantReadWriteLock(true);
    private final ExecutorService executor;
    private final AtomicInteger lateCalls = new AtomicInteger();
    private volatile boolean concurrent;

    /// The call that did not come back, if there is one.
    private volatile @Nullable String blocked;

    /// @param group the group of the calling thread, and so of the threads that the driver starts
    Callbacks(String name, Duration deadline, ThreadGroup group) {
        this.deadline = deadline;
        this.executor =
                Executors.newCachedThreadPool(body ->
                        Thread.ofPlatform().group(group).daemon().name(name).unstarted(body));
    }

    /// Lets the calls of [#access] run beside each other from now on.
    void allowConcurrency() {
        concurrent = true;
    }

    /// Calls the driver while no other call runs.
    ///
    /// @param what the method and its arguments, for messages
    /// @throws MdevException if the driver throws one
    /// @throws ContractViolation if the driver throws something else, returns null, leaves its
    ///   thread interrupted, says too much, or does not come back
    <T> T call(String what, Callable<T> body) {
        return callIn(turn.writeLock(), what, body);
    }

    /// Calls the driver for a guest's access.
    <T> T access(String what, Callable<T> body) {
        return callIn(concurrent ? turn.readLock() : turn.writeLock(), what, body);
    }

    /// Calls the driver outside the turn, beside other calls.
    <T> T aside(String what, Callable<T> body) {
        T answer = await(what, new Call<>(body));
        if (answer == null) {
            throw new ContractViolation(what + " returned null");
        }
        return answer;
    }

    /// Calls a method of the driver without a result.
    void run(String what, Runnable body) {
        call(what, Executors.callable(body, true));
    }

    /// The same, after work of the host's own in the same turn: its time does not count as the
    /// callback's.
    void runAfter(String what, Runnable hostsWork, Runnable body) {
        turn.writeLock().lock();
        try {
            hostsWork.run();
            run(what, body);
        } finally {
            turn.writeLock().unlock();
        }
    }

    private <T> T callIn(Lock lock, String what, Callable<T> body) {
        T answer;
        lock.lock();
        try {
            if (blocked != null) {
                throw new ContractViolation(what + ": this call has not come back: " + blocked);
            }
            answer = await(what, new Call<>(body));
        } finally {
            lock.unlock();
        }
        if (answer == null) {
            throw new ContractViolation(what + " returned null");
        }
        if (answer instanceof MapDecision.Deny(String reason)) {
            requireShort(what, "the reason of its denial", reason);
        }
        if (answer instanceof MapDecision.Again(String reason)) {
            requireShort(what, "the reason to ask again", reason);
        }
        if (answer instanceof MapDecision.FromPool grant) {
            requireShort(what, "the name of the pool", grant.pool());
        }
        return answer;
    }

    /// One call, and the thread that it runs on.
    private static final class Call<T> implements Callable<T> {
        private final Callable<T> body;
        private volatile @Nullable Thread thread;
        private volatile long startCpuNanos;
        private volatile boolean leftInterrupted;

        /// Kept aside: a wrapper may call its getMessage, which may throw.
        private volatile @Nullable Throwable thrown;

        Call(Callable<T> body) {
            this.body = body;
        }

        @Override
        @SuppressWarnings("NullAway") // the caller checks `thrown` first
        public T call() {
            startCpuNanos = THREADS.getCurrentThreadCpuTime();
            thread = Thread.currentThread();
            try {
                return body.call();
            } catch (Throwable e) {
                thrown = e;
                return null;
            } finally {
                leftInterrupted = Thread.interrupted();
            }
        }

        /// Whether the thread could run, and a processor has not run it for as long as `deadline`.
        boolean isStarved(Duration deadline) {
            Thread mine = thread;
            return mine == null
                    || (mine.getState() == Thread.State.RUNNABLE
                            && THREADS.getThreadCpuTime(mine.threadId()) - startCpuNanos
                                    < deadline.toNanos());
        }
    }

    private <T> T await(String what, Call<T> call) {
        long start = System.nanoTime();
        Future<T> answer = executor.submit(call);
        try {
            T value = get(answer, call);
            Throwable thrown = call.thrown;
            RuntimeException failure = thrown == null ? null : translate(what, thrown);
            requireNotInterrupted(what, call);
            requireInTime(what, System.nanoTime() - start);
            if (failure != null) {
                throw failure;
            }
            return value;
        } catch (TimeoutException e) {
            blocked = what;
            String stack = stackOf(call.thread);
            answer.cancel(true);
            throw new ContractViolation(
                    "%s has not come back within %d ms; it is at%n%s"
                            .formatted(what, deadline.toMillis(), stack),
                    e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("nothing is thrown by a call: " + what, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted in " + what, e);
        }
    }

    /// Waits for the deadline, and longer while only the machine is to blame: a busy one may give a
    /// callback that computes less time than the clock shows.
    private <T> T get(Future<T> answer, Call<T> call)
            throws InterruptedException, ExecutionException, TimeoutException {
        for (int waits = 1; ; waits++) {
            try {
                return answer.get(deadline.toNanos(), TimeUnit.NANOSECONDS);
            } catch (TimeoutException e) {
                if (waits == MOST_WAITS || !call.isStarved(deadline)) {
                    throw e;
                }
            }
        }
    }

    private static void requireNotInterrupted(String what, Call<?> call) {
        if (call.leftInterrupted) {
            throw new ContractViolation(what + " left its thread interrupted");
        }
    }

    /// One late call is the machine's fault, many are the driver's: so that the suite ends, too, at
    /// a driver that is always just in time.
    private void requireInTime(String what, long nanos) {
        long late = Math.max(NEVER_LATE_NANOS, deadline.toNanos() / 10);
        if (nanos > late && lateCalls.incrementAndGet() > MOST_LATE_CALLS) {
            throw new ContractViolation(
                    "%d answers were late, this one took %d ms: %s"
                            .formatted(lateCalls.get(), nanos / 1_000_000, what));
        }
    }

    private static RuntimeException translate(String what, Throwable thrown) {
        return switch (thrown) {
            case MdevException expected -> {
                requireShort(what, "the message of its exception", expected.getMessage());
                yield expected;
            }
            case ContractViolation violation -> throw violation;
            default -> throw withCause(what + " threw ", thrown);
        };
    }

    /// The violation has the exception as its cause, unless its `toString` throws.
    private static ContractViolation withCause(String what, Throwable thrown) {
        try {
            return new ContractViolation(what + cut(thrown.toString()), thrown);
        } catch (RuntimeException | Error e) {
            return new ContractViolation(what + thrown.getClass().getName());
        }
    }

    private static void requireShort(String what, String text, String said) {
        if (said.length() > MOST_TEXT_CHARS) {
            throw new ContractViolation(
                    "%s: %s has %d characters, at most %d are taken"
                            .formatted(what, text, said.length(), MOST_TEXT_CHARS));
        }
    }

    /// The beginning of a text of the driver, for messages.
    static String cut(String text) {
        return text.length() <= MOST_TEXT_CHARS ? text : text.substring(0, MOST_TEXT_CHARS);
    }

    private static String stackOf(@Nullable Thread thread) {
        return thread == null
                ? "    no line of the driver yet"
                : Arrays.stream(thread.getStackTrace())
                        .limit(12)
                        .map(frame -> "    " + frame)
                        .collect(Collectors.joining(System.lineSeparator()));
    }

    @Override
    public void close() {
        executor.shutdownNow();
    }
}

package dev.mdev.core.driver;

import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// Watches for driver calls that do not return: one thread, which reports each call once it is
/// overdue, and leaves it alone.
public final class CallWatchdog implements AutoCloseable {
    private static final long MIN_PERIOD_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

    private final Set<DriverCalls> watched = ConcurrentHashMap.newKeySet();
    private final Consumer<CallReport> overdue;
    private final long periodNanos;
    private final Thread thread;
    private final CountDownLatch closed = new CountDownLatch(1);

    /// @param deadline the maximum duration of a call; the report comes at most a quarter of that
    ///   later
    /// @param overdue receives the reports, on the watchdog's thread
    public CallWatchdog(Duration deadline, Consumer<CallReport> overdue) {
        this.overdue = overdue;
        this.periodNanos = Math.max(MIN_PERIOD_NANOS, deadline.toNanos() / 4);
        this.thread = Thread.ofPlatform().daemon().name("mdev-call-watch").unstarted(this::watch);
    }

    /// Starts the watchdog.
    public CallWatchdog start() {
        thread.start();
        return this;
    }

    /// The one thread.
    public Thread thread() {
        return thread;
    }

    public DriverCalls add(DriverCalls calls) {
        watched.add(calls);
        return calls;
    }

    public void remove(DriverCalls calls) {
        watched.remove(calls);
    }

    /// The calls that are overdue now, the longest first.
    public List<CallReport> overdue() {
        return watched.stream()
                .flatMap(calls -> calls.overdue().stream().map(call -> call.report(calls.owner())))
                .sorted(Comparator.comparingLong(CallReport::durationNanos).reversed())
                .toList();
    }

    private void watch() {
        Map<DriverCalls, RunningCall> told = new HashMap<>();
        try {
            while (!closed.await(periodNanos, TimeUnit.NANOSECONDS)) {
                told.keySet().retainAll(watched);
                for (DriverCalls calls : watched) {
                    look(calls, told);
                }
            }
        } catch (InterruptedException e) {
            // Nobody but the end of the process interrupts this thread.
            Thread.currentThread().interrupt();
        }
    }

    private void look(DriverCalls calls, Map<DriverCalls, RunningCall> told) {
        Optional<RunningCall> call = calls.overdue();
        if (call.isEmpty()) {
            told.remove(calls);
        } else if (!call.get().equals(told.put(calls, call.get()))) {
            overdue.accept(call.get().report(calls.owner()));
        }
    }

    @Override
    public void close() {
        closed.countDown();
    }
}

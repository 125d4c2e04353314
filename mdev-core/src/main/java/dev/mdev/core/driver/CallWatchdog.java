package dev.mdev.core.driver;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;

/// Looks after the calls of drivers that do not return: one thread, which tells of each call once
/// it is overdue, and does nothing about it.
public final class CallWatchdog implements AutoCloseable {
    private static final long MIN_PERIOD_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

    private final Set<DriverCalls> watched = ConcurrentHashMap.newKeySet();
    private final Consumer<CallReport> overdue;
    private final long periodNanos;
    private final Thread thread;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition closing = lock.newCondition();

    @GuardedBy("lock")
    private boolean closed;

    /// @param deadline how long a call may take; it is told of at most a quarter of that later
    /// @param overdue is told, by the watch's thread
    public CallWatchdog(Duration deadline, Consumer<CallReport> overdue) {
        this.overdue = overdue;
        this.periodNanos = Math.max(MIN_PERIOD_NANOS, deadline.toNanos() / 4);
        this.thread = Thread.ofPlatform().daemon().name("mdev-call-watch").unstarted(this::watch);
    }

    /// Begins to watch.
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
                .flatMap(calls ->
                        calls.overdue().stream().map(call -> call.report(calls.owner(), false)))
                .sorted(Comparator.comparingLong(CallReport::durationNanos).reversed())
                .toList();
    }

    private void watch() {
        Map<DriverCalls, DriverCalls.Running> told = new HashMap<>();
        while (awaitPeriod()) {
            told.keySet().retainAll(watched);
            for (DriverCalls calls : watched) {
                Optional<DriverCalls.Running> call = calls.overdue();
                if (call.isEmpty()) {
                    told.remove(calls);
                } else if (!call.get().equals(told.put(calls, call.get()))) {
                    overdue.accept(call.get().report(calls.owner(), false));
                }
            }
        }
    }

    /// @return false when the watch is closed
    private boolean awaitPeriod() {
        lock.lock();
        try {
            long nanos = periodNanos;
            while (!closed && nanos > 0) {
                nanos = closing.awaitNanos(nanos);
            }
            return !closed;
        } catch (InterruptedException e) {
            // Nobody interrupts this thread but to end it.
            return false;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() {
        lock.lock();
        try {
            closed = true;
            closing.signalAll();
        } finally {
            lock.unlock();
        }
    }
}

package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;

/// The doorbells of a device, as the host has them: rings coalesce, and one thread calls the driver
/// for them, each time as a step.
final class RungDoorbells implements AutoCloseable {
    private final Function<String, ContractViolation> violations;
    private final MdevDevice device;
    private final Callbacks callbacks;
    private final StepGate steps;
    private final List<DoorbellInfo> doorbells;
    private final ExecutorService executor;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition idle = lock.newCondition();

    @GuardedBy("lock")
    private long rung;

    /// Raised when rings are dropped, so that the thread does not bring one back.
    @GuardedBy("lock")
    private int epoch;

    @GuardedBy("lock")
    private int takenIn;

    @GuardedBy("lock")
    private boolean working;

    @GuardedBy("lock")
    private boolean ended;

    @GuardedBy("lock")
    private long calls;

    /// @param violations records one
    RungDoorbells(
            Function<String, ContractViolation> violations,
            MdevDevice device,
            Callbacks callbacks,
            StepGate steps,
            List<DoorbellInfo> doorbells) {
        this.violations = violations;
        this.device = device;
        this.callbacks = callbacks;
        this.steps = steps;
        this.doorbells = List.copyOf(doorbells);
        // Now: a thread that begins in a callback would count as the driver's.
        ThreadGroup group = Thread.currentThread().getThreadGroup();
        this.executor =
                Executors.newCachedThreadPool(body ->
                        Thread.ofPlatform().group(group).daemon().name("rung").unstarted(body));
    }

    /// The device's doorbells.
    List<DoorbellInfo> all() {
        return doorbells;
    }

    /// The doorbell that a store rings, or -1.
    int at(int region, long offsetBytes, int widthBytes) {
        for (int i = 0; i < doorbells.size(); i++) {
            DoorbellInfo doorbell = doorbells.get(i);
            if (doorbell.region() == region
                    && doorbell.offsetBytes() == offsetBytes
                    && doorbell.widthBytes() == widthBytes) {
                return i;
            }
        }
        return -1;
    }

    void ring(int doorbell) {
        lock.lock();
        try {
            rung |= 1L << Objects.checkIndex(doorbell, doorbells.size());
            startLocked();
        } finally {
            lock.unlock();
        }
    }

    void ringAll() {
        for (int i = 0; i < doorbells.size(); i++) {
            ring(i);
        }
    }

    /// Drops what has rung: the device is being reset.
    void forget() {
        lock.lock();
        try {
            rung = 0;
            epoch++;
        } finally {
            lock.unlock();
        }
    }

    private boolean isDropped() {
        lock.lock();
        try {
            return takenIn != epoch;
        } finally {
            lock.unlock();
        }
    }

    private void bringBack(int doorbell) {
        lock.lock();
        try {
            if (takenIn == epoch) {
                rung |= 1L << doorbell;
            }
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void startLocked() {
        if (!working && !ended) {
            working = true;
            executor.execute(this::work);
        }
    }

    private void work() {
        for (int doorbell = next(); doorbell >= 0; doorbell = next()) {
            int now = doorbell;
            if (!steps.runWhenFree(() -> call(now), this::hasEnded)) {
                forget();
            }
        }
    }

    private boolean hasEnded() {
        lock.lock();
        try {
            return ended;
        } finally {
            lock.unlock();
        }
    }

    private int next() {
        lock.lock();
        try {
            if (rung == 0) {
                working = false;
                idle.signalAll();
                return -1;
            }
            int doorbell = Long.numberOfTrailingZeros(rung);
            rung &= rung - 1;
            takenIn = epoch;
            calls++;
            return doorbell;
        } finally {
            lock.unlock();
        }
    }

    private void call(int doorbell) {
        if (isDropped()) {
            return;
        }
        try {
            if (callbacks.aside("rung " + doorbell, () -> device.rung(doorbell))
                    == DoorbellInfo.Answer.AGAIN) {
                bringBack(doorbell);
            }
        } catch (MdevException e) {
            // Any other is the device's failure, of which the host tells the operator.
            if (e.errno() == Errno.ECANCELED) {
                bringBack(doorbell);
            }
        } catch (ContractViolation violation) {
            var _ = violations.apply(violation.toString());
        }
    }

    /// Waits until the driver has no work.
    ///
    /// @throws ContractViolation if that takes too long
    void await(long timeoutNanos) {
        lock.lock();
        try {
            long before = calls;
            long nanos = timeoutNanos;
            while (working) {
                if (nanos <= 0) {
                    throw violations.apply(
                            "rung has answered AGAIN, or not at all, for %d ms and %d calls"
                                    .formatted(
                                            TimeUnit.NANOSECONDS.toMillis(timeoutNanos),
                                            calls - before));
                }
                nanos = idle.awaitNanos(nanos);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } finally {
            lock.unlock();
        }
    }

    /// After the last step.
    @Override
    public void close() {
        lock.lock();
        try {
            ended = true;
            rung = 0;
        } finally {
            lock.unlock();
        }
        steps.wakeWaiting();
        executor.shutdown();
    }
}

package dev.mdev.core.driver;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;

import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.IntFunction;

/// The doorbells of one device, from a guest's store to the driver's call.
///
/// A ring sets a bit, as an eventfd counts: it never blocks, and rings of a doorbell coalesce until
/// its call begins. One thread at a time calls the driver, each call as a step of the device. It
/// takes the bits in ascending order, so no doorbell waits for more than one call of each other
/// one. While the device must stand still, the bits wait, and no thread does.
public final class Doorbells {
    private static final ExecutorService THREADS =
            Executors.newCachedThreadPool(
                    Thread.ofPlatform().daemon().name("mdev-doorbell-", 0).factory());

    private static final String CALLBACK = "rung";

    private final DriverCalls calls;
    private final IntFunction<DoorbellInfo.Answer> driver;
    private final Consumer<String> trouble;

    /// A leaf, except that [DeviceSteps] is asked under it.
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private int count;

    /// A bit for each doorbell that has rung.
    @GuardedBy("lock")
    private long rung;

    /// Raised when rings are dropped, so that a thread does not bring one back.
    @GuardedBy("lock")
    private int epoch;

    /// The epoch of the doorbell that the thread has taken.
    @GuardedBy("lock")
    private int takenIn;

    /// Whether a thread calls the driver.
    @GuardedBy("lock")
    private boolean working;

    /// @param driver calls the driver for a doorbell
    /// @param trouble receives the failures of the driver
    public Doorbells(
            DriverCalls calls, IntFunction<DoorbellInfo.Answer> driver, Consumer<String> trouble) {
        this.calls = calls;
        this.driver = driver;
        this.trouble = trouble;
        calls.onFree(this::start);
    }

    /// Sets how many there are, before the first rings.
    ///
    /// @param number at most [DoorbellInfo#MAX_DOORBELLS]
    public void install(int number) {
        lock.lock();
        try {
            count = number;
        } finally {
            lock.unlock();
        }
    }

    /// Rings one.
    ///
    /// @throws IndexOutOfBoundsException if there is no such doorbell
    public void ring(int doorbell) {
        lock.lock();
        try {
            Objects.checkIndex(doorbell, count);
            rung |= 1L << doorbell;
        } finally {
            lock.unlock();
        }
        start();
    }

    /// Rings all.
    public void ringAll() {
        lock.lock();
        try {
            rung = count == 0 ? 0 : -1L >>> (Long.SIZE - count);
        } finally {
            lock.unlock();
        }
        start();
    }

    /// Drops what has rung, because the device begins anew.
    public void forget() {
        lock.lock();
        try {
            rung = 0;
            epoch++;
        } finally {
            lock.unlock();
        }
    }

    /// Starts a thread if there is something to do, and none does it.
    private void start() {
        lock.lock();
        try {
            if (working || rung == 0 || calls.mustStandStill()) {
                return;
            }
            working = true;
        } finally {
            lock.unlock();
        }
        try {
            THREADS.execute(this::work);
        } catch (RuntimeException | Error e) {
            rest();
            throw e;
        }
    }

    private void rest() {
        lock.lock();
        try {
            working = false;
        } finally {
            lock.unlock();
        }
    }

    private void work() {
        int last = -1;
        do {
            last = next(last);
        } while (last >= 0 && call(last));
        rest();
        // For a ring, or the end of a standstill, that still found a thread at work.
        start();
    }

    /// Takes the next doorbell that has rung, after the last one and around.
    ///
    /// @return -1 if none has
    private int next(int last) {
        lock.lock();
        try {
            if (rung == 0) {
                return -1;
            }
            long above = last + 1 >= Long.SIZE ? 0 : rung & (-1L << (last + 1));
            int doorbell = Long.numberOfTrailingZeros(above != 0 ? above : rung);
            rung &= ~(1L << doorbell);
            takenIn = epoch;
            return doorbell;
        } finally {
            lock.unlock();
        }
    }

    /// @return whether it was called; if not, the device must stand still
    private boolean call(int doorbell) {
        Optional<DriverOutcome<DoorbellInfo.Answer>> outcome =
                calls.callAsStep(
                        CALLBACK,
                        () -> isDropped() ? DoorbellInfo.Answer.DONE : driver.apply(doorbell));
        boolean again =
                switch (outcome.orElse(null)) {
                    case null -> true;
                    case DriverOutcome.Returned<DoorbellInfo.Answer> returned ->
                            returned.value() == DoorbellInfo.Answer.AGAIN;
                    case DriverOutcome.Failed<DoorbellInfo.Answer> failed ->
                            isCancelled(failed.refusal());
                };
        if (again) {
            bringBack(doorbell);
        }
        return outcome.isPresent();
    }

    /// Whether the ring was dropped since the thread took it. The answer lasts for the step.
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

    /// Whether the driver passed on that its step had to end; any other failure is told.
    private boolean isCancelled(Refusal refusal) {
        if (refusal.errno() == Errno.ECANCELED) {
            return true;
        }
        trouble.accept(refusal.reason());
        return false;
    }
}

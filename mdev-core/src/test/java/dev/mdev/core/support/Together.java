package dev.mdev.core.support;

import dev.mdev.gate.Deadlines;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/// Runs the parts of a race, each on a thread of its own, and always ends.
public final class Together {
    /// The bound for finding a planted bug, and the end of a hang.
    public static final Duration LIMIT = Deadlines.HANG;

    private static final int SPINS = 64;

    private Together() {}

    /// Part of a race.
    @FunctionalInterface
    public interface Part {
        void run() throws Exception;
    }

    /// Runs the parts and waits for all of them.
    ///
    /// @throws AssertionError if one throws, or is not done in time
    public static void run(Part... parts) {
        // Daemons: a part that hangs must not keep the test's process.
        ExecutorService threads =
                Executors.newFixedThreadPool(
                        parts.length, Thread.ofPlatform().daemon().name("race-", 0).factory());
        long deadline = System.nanoTime() + LIMIT.toNanos();
        try {
            List<Future<?>> futures = new ArrayList<>();
            for (Part part : parts) {
                Callable<Boolean> call =
                        () -> {
                            part.run();
                            return true;
                        };
                futures.add(threads.submit(call));
            }
            for (Future<?> future : futures) {
                future.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
            }
        } catch (ExecutionException e) {
            throw new AssertionError(e.getCause());
        } catch (TimeoutException e) {
            throw new AssertionError("not done in " + LIMIT, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError(e);
        } finally {
            threads.shutdownNow();
        }
    }

    /// Tries until a planted mistake shows: whether it does in one try is chance, more so on a
    /// machine with one processor.
    ///
    /// @param attempt returns whether it showed
    /// @throws AssertionError if it never did
    public static void untilFound(Callable<Boolean> attempt) {
        long start = System.nanoTime();
        int attempts = 0;
        do {
            attempts++;
            try {
                if (attempt.call()) {
                    return;
                }
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        } while (System.nanoTime() - start < LIMIT.toNanos());
        throw new AssertionError("not found in " + attempts + " attempts, " + LIMIT);
    }

    /// Waits, leaving the processor to others if it takes long.
    ///
    /// @param what completes "waits in vain until"
    /// @throws AssertionError if it never comes true
    public static void await(String what, BooleanSupplier condition) {
        long start = System.nanoTime();
        for (int turn = 0; !condition.getAsBoolean(); turn++) {
            if (turn < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.parkNanos(1);
                if (System.nanoTime() - start > LIMIT.toNanos()) {
                    throw new AssertionError("waits in vain until " + what);
                }
            }
        }
    }

    /// Does nothing for a while of random length, most often a very short one: it widens the gap
    /// between two steps.
    public static void pause(SplittableRandom random) {
        int kind = random.nextInt(16);
        if (kind == 0) {
            LockSupport.parkNanos(1);
        } else {
            for (int spins = random.nextInt(8 << kind % 4); spins > 0; spins--) {
                Thread.onSpinWait();
            }
        }
    }
}

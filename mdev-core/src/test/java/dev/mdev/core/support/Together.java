package dev.mdev.core.support;

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

/// Runs the parts of a race, each on a thread of its own, and never waits for ever.
public final class Together {
    /// What a planted mistake has to be found in, and what a hang ends with.
    public static final Duration LIMIT = Duration.ofSeconds(60);

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

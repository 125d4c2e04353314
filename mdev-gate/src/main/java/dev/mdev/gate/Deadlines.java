package dev.mdev.gate;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// How long tests wait for an event. A passing test waits for a signal, so a deadline passes only
/// if something hangs: it allows for a machine with many times its load.
public final class Deadlines {
    /// In seconds; `-Dmdev.test.deadline-seconds` or the environment variable
    /// `MDEV_TEST_DEADLINE_SECONDS` overrides it. JUnit's `@Timeout`, which covers code that
    /// ignores this deadline, is three times as long.
    public static final long HANG_SECONDS = seconds();

    /// The same as a duration.
    public static final Duration HANG = Duration.ofSeconds(HANG_SECONDS);

    private Deadlines() {}

    /// Waits until a latch opens, also in a callback that a test has put into another thread.
    ///
    /// @throws AssertionError if it does not open in [#HANG]
    /// @throws IllegalStateException if the thread is interrupted
    public static void await(CountDownLatch latch) {
        try {
            if (!latch.await(HANG_SECONDS, TimeUnit.SECONDS)) {
                throw new AssertionError("nothing opened the latch in " + HANG);
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException("interrupted", e);
        }
    }

    private static long seconds() {
        String environment = System.getenv().getOrDefault("MDEV_TEST_DEADLINE_SECONDS", "300");
        return Long.getLong("mdev.test.deadline-seconds", Long.parseLong(environment));
    }
}

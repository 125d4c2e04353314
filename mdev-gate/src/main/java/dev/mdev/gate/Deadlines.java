package dev.mdev.gate;

import java.time.Duration;

/// How long tests wait for what has to happen. A test that passes waits for a signal, so that a
/// deadline passes only where something hangs: it allows for a machine with many times its load.
public final class Deadlines {
    /// In seconds; `-Dmdev.test.deadline-seconds` or the environment's `MDEV_TEST_DEADLINE_SECONDS`
    /// is another one. JUnit's `@Timeout`, which is for what ignores this one, is three times as
    /// long.
    public static final long HANG_SECONDS = seconds();

    /// The same as a duration.
    public static final Duration HANG = Duration.ofSeconds(HANG_SECONDS);

    private Deadlines() {}

    private static long seconds() {
        String environment = System.getenv().getOrDefault("MDEV_TEST_DEADLINE_SECONDS", "300");
        return Long.getLong("mdev.test.deadline-seconds", Long.parseLong(environment));
    }
}

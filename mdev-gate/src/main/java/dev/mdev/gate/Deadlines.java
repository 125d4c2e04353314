package dev.mdev.gate;

import java.time.Duration;

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

    private static long seconds() {
        String environment = System.getenv().getOrDefault("MDEV_TEST_DEADLINE_SECONDS", "300");
        return Long.getLong("mdev.test.deadline-seconds", Long.parseLong(environment));
    }
}

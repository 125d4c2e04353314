package dev.mdev.testkit.drivers;

import java.time.Duration;

/// A driver with one bug, and the test of the conformance suite that has to find it.
interface SeededBug {
    Variant newDriver();

    /// The test that must find it, whether others also do or not.
    String foundBy();

    /// A part of the test's message.
    default String says() {
        return "";
    }

    /// How long a callback may take: short if the driver blocks; else long enough for a busy
    /// machine, so that no driver is found for being slow.
    default Duration deadline() {
        return blocks() ? Duration.ofMillis(200) : Duration.ofSeconds(20);
    }

    /// Whether the bug is that a callback does not come back.
    default boolean blocks() {
        return toString().startsWith("BLOCKS");
    }
}

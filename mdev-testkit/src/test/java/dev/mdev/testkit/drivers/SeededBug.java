package dev.mdev.testkit.drivers;

import java.time.Duration;
import java.util.List;

/// A driver with one bug, and the test of the conformance suite that has to find it.
interface SeededBug {
    Variant newDriver();

    /// Ends what the driver still does: it would keep a processor from the tests after it.
    default void end() {}

    /// The test that must find it, whether others also do or not.
    String foundBy();

    /// A part of the test's message.
    default String says() {
        return "";
    }

    /// How long a callback may take: short if the suite waits as long to find the bug; else long
    /// enough for a busy machine, so that no driver is found for being slow.
    default Duration deadline() {
        if (blocks()) {
            return Duration.ofMillis(200);
        }
        return Duration.ofSeconds(isFoundByWaiting() ? 1 : 20);
    }

    /// Whether the bug is that a callback does not come back.
    default boolean blocks() {
        return toString().startsWith("BLOCKS");
    }

    /// Whether the bug is that something else never ends.
    default boolean isFoundByWaiting() {
        return List.of(
                        "NEVER_DECIDES",
                        "LEAVES_A_THREAD",
                        "NEVER_COMES_TO_REST",
                        "HAS_WORK_FOR_EVER")
                .contains(toString());
    }
}

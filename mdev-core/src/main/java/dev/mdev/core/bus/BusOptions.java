package dev.mdev.core.bus;

import dev.mdev.core.store.StateFiles;

import java.time.Duration;

/// The options of a bus.
///
/// @param callDeadline the time after which a running callback of a driver counts as stuck
/// @param slowCallback the duration from which a finished callback is reported as slow
/// @param observer receives events and reports
/// @param maxDefinitions the maximum number of definitions, 1 to 32768
public record BusOptions(
        Duration callDeadline, Duration slowCallback, MdevObserver observer, int maxDefinitions) {
    private static final int MAX_DEFINITIONS = 4096;

    public BusOptions {
        if (!callDeadline.isPositive()
                || slowCallback.isNegative()
                || maxDefinitions < 1
                || maxDefinitions > StateFiles.MAX_NAMES / 2) {
            throw new IllegalArgumentException(
                    "callDeadline=%s slowCallback=%s maxDefinitions=%d"
                            .formatted(callDeadline, slowCallback, maxDefinitions));
        }
    }

    /// Allows 4096 definitions.
    public BusOptions(Duration callDeadline, Duration slowCallback, MdevObserver observer) {
        this(callDeadline, slowCallback, observer, MAX_DEFINITIONS);
    }

    /// Reports callbacks that take more than a tenth of the deadline, and allows 4096 definitions.
    public static BusOptions of(Duration callDeadline, MdevObserver observer) {
        return new BusOptions(callDeadline, callDeadline.dividedBy(10), observer);
    }
}

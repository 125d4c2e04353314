package dev.mdev.core.device;

import java.time.Duration;

/// How a bus behaves.
///
/// @param callDeadline how long a callback of a driver may take before it counts as stuck
/// @param slowCallback from how long on a callback that returned is reported as slow
/// @param keptEvents how many events are kept for who asks later, at least 1
/// @param observer is told what happens
public record BusOptions(
        Duration callDeadline, Duration slowCallback, int keptEvents, MdevObserver observer) {
    private static final int KEPT_EVENTS = 4096;

    public BusOptions {
        if (!callDeadline.isPositive() || slowCallback.isNegative() || keptEvents < 1) {
            throw new IllegalArgumentException(
                    "callDeadline=%s slowCallback=%s keptEvents=%d"
                            .formatted(callDeadline, slowCallback, keptEvents));
        }
    }

    /// Reports callbacks that take more than a tenth of the deadline, and keeps 4096 events.
    public static BusOptions of(Duration callDeadline, MdevObserver observer) {
        return new BusOptions(callDeadline, callDeadline.dividedBy(10), KEPT_EVENTS, observer);
    }
}

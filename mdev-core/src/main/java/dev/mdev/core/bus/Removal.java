package dev.mdev.core.bus;

import java.time.Duration;

/// How to end a device that may have a holder.
///
/// @param grace how long to wait for the holder to release it, after asking; up to [#MAX_GRACE]
/// @param force whether to take it away from a holder that keeps it; otherwise the removal fails
///   then
public record Removal(Duration grace, boolean force) {
    /// The maximum grace time.
    public static final Duration MAX_GRACE = Duration.ofDays(1);

    /// Ends an idle device.
    public static final Removal IF_UNUSED = new Removal(Duration.ZERO, false);

    public Removal {
        if (grace.isNegative() || grace.compareTo(MAX_GRACE) > 0) {
            throw new IllegalArgumentException("grace=" + grace);
        }
    }

    /// Asks the holder, and gives up if it keeps the device.
    public static Removal asking(Duration grace) {
        return new Removal(grace, false);
    }

    /// Asks the holder, and takes the device away if the holder keeps it.
    public static Removal forcing(Duration grace) {
        return new Removal(grace, true);
    }

    /// The same, after a wait for something else.
    Removal after(Duration waited) {
        Duration left = grace.minus(waited);
        return new Removal(left.isNegative() ? Duration.ZERO : left, force);
    }
}

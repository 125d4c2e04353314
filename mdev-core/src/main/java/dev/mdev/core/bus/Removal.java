package dev.mdev.core.bus;

import java.time.Duration;

/// How to end a device that somebody may have.
///
/// @param grace how long to wait for the holder to let it go, after asking; up to [#MAX_GRACE]
/// @param force whether to take it away from a holder that does not; else the removal fails then
public record Removal(Duration grace, boolean force) {
    /// The longest grace time.
    public static final Duration MAX_GRACE = Duration.ofDays(1);

    /// Ends a device that nobody has.
    public static final Removal IF_UNUSED = new Removal(Duration.ZERO, false);

    public Removal {
        if (grace.isNegative() || grace.compareTo(MAX_GRACE) > 0) {
            throw new IllegalArgumentException("grace=" + grace);
        }
    }

    /// Asks the holder, and gives up if it does not let go.
    public static Removal asking(Duration grace) {
        return new Removal(grace, false);
    }

    /// Asks the holder, and takes the device away if it does not let go.
    public static Removal forcing(Duration grace) {
        return new Removal(grace, true);
    }

    /// The same, for who has waited for something else first.
    Removal after(Duration waited) {
        Duration left = grace.minus(waited);
        return new Removal(left.isNegative() ? Duration.ZERO : left, force);
    }
}

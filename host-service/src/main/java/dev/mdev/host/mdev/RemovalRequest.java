package dev.mdev.host.mdev;

import dev.mdev.core.bus.Removal;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.List;

/// How to end a device that may have a holder.
///
/// @param grace how long its holder may take to release it; if absent, only an idle device ends
/// @param force whether to take it away after that; true if absent
public record RemovalRequest(@Nullable Duration grace, @Nullable Boolean force) {
    private static final Duration LONGEST = Duration.ofMinutes(10);

    /// @throws ProblemException if the grace time is out of range
    public Removal removal() {
        if (grace == null) {
            if (force != null) {
                throw invalid("force belongs to a grace time");
            }
            return Removal.IF_UNUSED;
        }
        if (grace.isNegative() || grace.compareTo(LONGEST) > 0) {
            throw invalid("grace is 0s to " + LONGEST.toSeconds() + "s");
        }
        return new Removal(grace, force == null || force);
    }

    private static ProblemException invalid(String what) {
        return ProblemException.invalid(List.of(new Violation("", what)));
    }
}

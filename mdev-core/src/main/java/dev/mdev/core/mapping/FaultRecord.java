package dev.mdev.core.mapping;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;

import java.time.Instant;

/// One fault of a device's guest, and what came of it.
///
/// @param time when it was answered
/// @param request what the driver was asked
/// @param outcome what came of it
/// @param reply what the driver answered, or why its answer was not taken
/// @param driverNanos how long the driver took
public record FaultRecord(
        Instant time, MapRequest request, Outcome outcome, Reply reply, long driverNanos) {
    /// What the driver answered, or why its answer was not taken. Faults are many and few are
    /// looked at, so that the words are made when somebody asks for them.
    public sealed interface Reply {
        /// A grant that was taken.
        record Granted(MapDecision.Grant grant) implements Reply {}

        /// Anything else, in words.
        record Words(String text) implements Reply {}
    }

    /// The reply, for people.
    public String answer() {
        return switch (reply) {
            case Reply.Granted(MapDecision.Grant grant) ->
                    "grant pages [%d, %d) = %s %s"
                            .formatted(
                                    grant.firstPage(),
                                    grant.firstPage() + grant.pfns().npages(),
                                    grant.pfns(),
                                    grant.prot());
            case Reply.Words(String text) -> text;
        };
    }

    /// What came of a fault.
    public enum Outcome {
        /// Pages were granted, and passed the check.
        GRANTED,
        /// The driver chose to have the access trapped.
        TRAPPED,
        /// The driver denied the access.
        DENIED,
        /// The driver granted what it must not: nothing was mapped.
        REFUSED,
        /// The driver threw, or did not answer in time.
        FAILED
    }
}

package dev.mdev.core.mapping;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;

import java.time.Instant;

/// One fault of a device's guest, and its outcome.
///
/// @param time when it was answered
/// @param request the request to the driver
/// @param outcome the outcome
/// @param reply the driver's answer, or why the host refused it
/// @param driverNanos the duration of the driver's callback
public record FaultRecord(
        Instant time, MapRequest request, Outcome outcome, Reply reply, long driverNanos) {
    /// The driver's answer, or why the host refused it. There are many faults and few readers, so
    /// the text is created on demand.
    public sealed interface Reply {
        /// An accepted grant.
        record Granted(MapDecision.Grant grant) implements Reply {}

        /// Any other reply, as text.
        record Words(String text) implements Reply {}
    }

    /// The reply as text.
    public String answer() {
        return switch (reply) {
            case Reply.Granted(MapDecision.Grant grant) ->
                    "grant pages [%d, %d) = %s %s%s"
                            .formatted(
                                    grant.firstPage(),
                                    grant.firstPage() + grant.pfns().npages(),
                                    grant.pfns(),
                                    grant.prot(),
                                    grant.caching().map(type -> " " + type).orElse(""));
            case Reply.Words(String text) -> text;
        };
    }

    /// The outcome of a fault.
    public enum Outcome {
        /// Pages were granted, passed the check, and are mapped.
        GRANTED,
        /// The driver traps the access.
        TRAPPED,
        /// The driver denied the access.
        DENIED,
        /// The grant broke a rule: nothing was mapped.
        REFUSED,
        /// The driver threw, did not answer in time, or revoked each of its grants before they were
        /// mapped; or the engine could not map the grant.
        FAILED
    }
}

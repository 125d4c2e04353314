package dev.mdev.core.device;

import dev.mdev.api.MapRequest;

import java.time.Instant;

/// One fault of a device's guest, and what came of it.
///
/// @param time when it was answered
/// @param request what the driver was asked
/// @param outcome what came of it
/// @param answer what the driver answered, or why its answer was not taken, for people
/// @param driverNanos how long the driver took
public record FaultRecord(
        Instant time, MapRequest request, Outcome outcome, String answer, long driverNanos) {
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

package dev.mdev.core.mmu;

import dev.mdev.api.Refusal;

/// What a vCPU does after a stage-2 fault.
public sealed interface FaultOutcome {
    /// An entry is there, or something changed meanwhile: walk again.
    record Retry() implements FaultOutcome {}

    /// There is no memory: the access is emulated.
    record Mmio() implements FaultOutcome {}

    /// The page is watched for writes: the store is done by an accessor, and
    /// [WriteTracking#written] is told.
    record Tracked() implements FaultOutcome {}

    /// The access fails.
    record Failed(Refusal refusal) implements FaultOutcome {}
}

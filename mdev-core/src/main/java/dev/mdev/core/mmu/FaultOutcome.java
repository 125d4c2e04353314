package dev.mdev.core.mmu;

import dev.mdev.api.Refusal;

/// What a vCPU does after a stage-2 fault.
public sealed interface FaultOutcome {
    /// There is an entry, or something has changed: walk again.
    record Retry() implements FaultOutcome {}

    /// There is no memory: the access is emulated.
    record Mmio() implements FaultOutcome {}

    /// The page has a write watch, or memory that may vanish: an accessor does the access, and
    /// after a store to a watched page [WriteTracking#written] is called.
    record Emulated() implements FaultOutcome {}

    /// The access fails.
    record Failed(Refusal refusal) implements FaultOutcome {}
}

package dev.mdev.core.engine.kvm;

import dev.mdev.api.Refusal;

/// Why a [KvmRunLoop] stopped. An index counts the accesses of the row.
sealed interface RowStop {
    /// The row is complete.
    record Finished() implements RowStop {}

    /// The kernel emulates an access and needs its outcome (`KVM_EXIT_MMIO`).
    ///
    /// @param index the access
    record Mmio(long index) implements RowStop {}

    /// The owner of the memory serves this access itself. The access was not made.
    ///
    /// @param index the access
    /// @param gpa of its first byte on the page in question
    record Trapped(long index, long gpa) implements RowStop {}

    /// An access failed. It was not made.
    ///
    /// @param index the access
    /// @param gpa of its first byte on the page in question
    record Failed(long index, long gpa, Refusal refusal) implements RowStop {}

    /// A thread interrupted the processor's thread while it waited for an answer. The row must
    /// restart at an access that was not made.
    ///
    /// @param index the access
    record Interrupted(long index) implements RowStop {}

    /// The row must restart at an access that was not made.
    ///
    /// @param index the access
    record Again(long index) implements RowStop {}

    /// The processor's dirty ring is full.
    ///
    /// @param done completed accesses
    record RingFull(long done) implements RowStop {}

    /// A thread kicked the processor.
    ///
    /// @param done completed accesses
    record Kicked(long done) implements RowStop {}
}

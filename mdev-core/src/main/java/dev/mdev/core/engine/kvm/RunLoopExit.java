package dev.mdev.core.engine.kvm;

import dev.mdev.api.Refusal;

/// Why a [KvmRunLoop] stopped. An index counts the accesses of the row.
sealed interface RunLoopExit {
    /// The row is complete.
    record Finished() implements RunLoopExit {}

    /// The kernel emulates an access and needs its outcome (`KVM_EXIT_MMIO`).
    ///
    /// @param index the access
    record Mmio(long index) implements RunLoopExit {}

    /// The owner of the memory serves this access itself. The access was not made.
    ///
    /// @param index the access
    /// @param gpa of its first byte on the page in question
    record Trapped(long index, long gpa) implements RunLoopExit {}

    /// An access failed. It was not made.
    ///
    /// @param index the access
    /// @param gpa of its first byte on the page in question
    record Failed(long index, long gpa, Refusal refusal) implements RunLoopExit {}

    /// A thread interrupted the processor's thread while it waited for an answer. The row must
    /// restart at an access that was not made.
    ///
    /// @param index the access
    record Interrupted(long index) implements RunLoopExit {}

    /// The row must restart at an access that was not made.
    ///
    /// @param index the access
    record Again(long index) implements RunLoopExit {}

    /// The processor's dirty ring is full.
    ///
    /// @param done completed accesses
    record RingFull(long done) implements RunLoopExit {}

    /// A thread kicked the processor.
    ///
    /// @param done completed accesses
    record Kicked(long done) implements RunLoopExit {}
}

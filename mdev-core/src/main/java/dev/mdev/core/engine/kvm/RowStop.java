package dev.mdev.core.engine.kvm;

import dev.mdev.api.Refusal;

/// Why a [KvmRunLoop] stopped. An index counts the accesses of the row.
sealed interface RowStop {
    /// The row is done.
    record Finished() implements RowStop {}

    /// The kernel emulates an access and asks for its outcome (`KVM_EXIT_MMIO`).
    ///
    /// @param index the access
    record Mmio(long index) implements RowStop {}

    /// The owner of the memory wants to serve an access itself. The access was not made.
    ///
    /// @param index the access
    /// @param gpa of its first byte that is on the page in question
    record Trapped(long index, long gpa) implements RowStop {}

    /// An access failed. It was not made.
    ///
    /// @param index the access
    /// @param gpa of its first byte that is on the page in question
    record Failed(long index, long gpa, Refusal refusal) implements RowStop {}

    /// Somebody interrupted the processor's thread while it waited for an answer. The row is to be
    /// started again at an access, which was not made.
    ///
    /// @param index the access
    record Interrupted(long index) implements RowStop {}

    /// The row is to be started again at an access, which was not made.
    ///
    /// @param index the access
    record Again(long index) implements RowStop {}

    /// The processor's dirty ring is full.
    ///
    /// @param done accesses that are done
    record RingFull(long done) implements RowStop {}

    /// Somebody kicked the processor.
    ///
    /// @param done accesses that are done
    record Kicked(long done) implements RowStop {}
}

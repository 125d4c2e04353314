package dev.mdev.testkit;

/// How a guest's access ended.
public sealed interface AccessResult {
    /// It was done.
    ///
    /// @param value what a load got; of a store, 0
    record Done(long value) implements AccessResult {}

    /// The guest sees a failed access: loads get all-ones, stores are lost.
    ///
    /// @param reason for the operator
    record Failed(String reason) implements AccessResult {}
}

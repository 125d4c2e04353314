package dev.mdev.testkit;

/// The result of a guest's access.
public sealed interface AccessResult {
    /// It succeeded.
    ///
    /// @param value the loaded value; 0 for a store
    record Done(long value) implements AccessResult {}

    /// The guest sees a failed access: loads get all-ones, stores have no effect.
    ///
    /// @param reason for the operator
    record Failed(String reason) implements AccessResult {}
}

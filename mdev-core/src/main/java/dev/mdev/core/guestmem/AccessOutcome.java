package dev.mdev.core.guestmem;

/// The outcome of an access to guest memory by the machine itself.
public sealed interface AccessOutcome {
    /// The access reached every byte.
    record Ok() implements AccessOutcome {
        private static final Ok INSTANCE = new Ok();
    }

    /// EFAULT: the access stopped at a page that has no slot, is being moved, is read-only, or
    /// whose host memory is unreachable. The pages before it are complete, and recorded as dirty if
    /// written.
    ///
    /// @param gpa the first byte of the access in the failing page; 0 if the access ran past the
    ///   last gpa
    record Fault(long gpa) implements AccessOutcome {}

    /// The one [Ok].
    static AccessOutcome ok() {
        return Ok.INSTANCE;
    }

    default boolean isOk() {
        return this instanceof Ok;
    }
}

package dev.mdev.core.guestmem;

/// What became of an access to guest memory by the machine itself.
public sealed interface AccessOutcome {
    /// Every byte was reached.
    record Ok() implements AccessOutcome {
        private static final Ok INSTANCE = new Ok();
    }

    /// EFAULT: the access stopped at a page that has no slot, is being moved, may not be written,
    /// or whose host memory cannot be reached. The pages before it are done, and recorded as dirty
    /// if written.
    ///
    /// @param gpa the first byte that the failing page was to supply or take; 0 if the access ran
    ///   past the last gpa
    record Fault(long gpa) implements AccessOutcome {}

    /// The one [Ok].
    static AccessOutcome ok() {
        return Ok.INSTANCE;
    }

    default boolean isOk() {
        return this instanceof Ok;
    }
}

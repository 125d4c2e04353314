package dev.mdev.core.driver;

import dev.mdev.api.Refusal;

import java.util.Optional;

/// How a call of driver code ended.
public sealed interface DriverOutcome<T> {
    /// It returned.
    record Returned<T>(T value) implements DriverOutcome<T> {}

    /// It did not: it threw, or could not be made.
    ///
    /// @param refusal what the driver said, EIO for what it did not mean to throw, ETIMEDOUT if the
    ///   driver was busy with another call for too long
    record Failed<T>(Refusal refusal) implements DriverOutcome<T> {}

    /// Why the call did not return, if it did not.
    default Optional<Refusal> failure() {
        return switch (this) {
            case Returned<T> _ -> Optional.empty();
            case Failed<T> failed -> Optional.of(failed.refusal);
        };
    }

    /// What the call returned.
    ///
    /// @throws DriverException what the driver threw
    default T orThrow() {
        return switch (this) {
            case Returned<T> returned -> returned.value();
            case Failed<T> failed -> throw new DriverException(failed.refusal);
        };
    }
}

package dev.mdev.core.driver;

import dev.mdev.api.Refusal;

import java.util.Optional;
import java.util.function.Function;

/// How a call of driver code ended.
public sealed interface DriverOutcome<T> {
    /// It returned.
    record Returned<T>(T value) implements DriverOutcome<T> {}

    /// It failed: it threw, or could not be called.
    ///
    /// @param refusal the driver's refusal, EIO for an unexpected exception, ETIMEDOUT if the
    ///   driver was busy with another call for too long
    record Failed<T>(Refusal refusal) implements DriverOutcome<T> {}

    /// Why the call failed, if it failed.
    default Optional<Refusal> failure() {
        return switch (this) {
            case Returned<T> _ -> Optional.empty();
            case Failed<T> failed -> Optional.of(failed.refusal);
        };
    }

    /// The result of the call.
    ///
    /// @throws DriverException the driver's exception
    default T orThrow() {
        return orThrow(DriverException::new);
    }

    /// The result of the call.
    ///
    /// @param failure makes the exception of a failure
    default T orThrow(Function<Refusal, DriverException> failure) {
        return switch (this) {
            case Returned<T> returned -> returned.value();
            case Failed<T> failed -> throw failure.apply(failed.refusal);
        };
    }
}

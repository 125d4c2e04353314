package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.GuestAccess;

import java.util.List;

/// A program for a virtual processor: steps, in order. Most are a row of guest accesses; some take
/// the processor into and out of system management mode.
///
/// @param steps at most [#MAX_STEPS]
/// @param continueAfterFault whether to execute the steps after a fault
public record GuestProgram(List<Step> steps, boolean continueAfterFault) {
    /// The maximum number of steps in a program.
    public static final int MAX_STEPS = 1024;

    /// The maximum number of values that one step returns.
    public static final int MAX_VALUES = 4096;

    /// The maximum number of accesses in one step.
    public static final long MAX_ACCESSES = 1L << 32;

    /// @throws MdevException E2BIG if there are too many steps
    public GuestProgram {
        steps = List.copyOf(steps);
        if (steps.size() > MAX_STEPS) {
            throw new MdevException(
                    Errno.E2BIG, "steps=%d most=%d".formatted(steps.size(), MAX_STEPS));
        }
    }

    /// A step.
    public sealed interface Step {
        /// A row of guest accesses.
        sealed interface Row extends Step {
            GuestAccess.Span span();
        }

        /// A system management interrupt arrives. Its step ends when the processor has saved its
        /// state and is in system management mode, or, if it is there already, at once: then the
        /// interrupt waits for [Rsm].
        record Smi() implements Step {}

        /// Leaves system management mode.
        record Rsm() implements Step {}

        /// Loads, and returns the values.
        record Read(GuestAccess.Span span) implements Row {
            /// @throws MdevException E2BIG if there are more values than a step may return
            public Read {
                requireCount(span, MAX_VALUES);
            }
        }

        /// Stores `value`, `value + step`, `value + 2 * step` and so on.
        record Write(GuestAccess.Span span, long value, long step) implements Row {
            public Write {
                requireCount(span, MAX_ACCESSES);
            }
        }

        /// Loads, and compares with the values that [Write] would have stored.
        record Check(GuestAccess.Span span, long value, long step) implements Row {
            public Check {
                requireCount(span, MAX_ACCESSES);
            }
        }

        private static void requireCount(GuestAccess.Span span, long most) {
            if (span.count() > most) {
                throw new MdevException(
                        Errno.E2BIG, "count=%d most=%d".formatted(span.count(), most));
            }
        }
    }
}

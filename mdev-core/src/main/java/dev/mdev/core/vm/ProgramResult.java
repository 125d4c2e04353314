package dev.mdev.core.vm;

import java.util.List;

/// The result of a guest program.
///
/// @param end how it ended
/// @param steps the results of the executed steps; the last may be incomplete
public record ProgramResult(End end, List<StepResult> steps) {
    public ProgramResult {
        steps = List.copyOf(steps);
    }

    /// How a program ended.
    public enum End {
        /// All steps were executed; with continueAfterFault, some may have faulted.
        COMPLETED,
        /// A step faulted.
        FAULTED,
        /// It was stopped: by its deadline, a cancellation, or the end of the machine.
        INTERRUPTED
    }
}

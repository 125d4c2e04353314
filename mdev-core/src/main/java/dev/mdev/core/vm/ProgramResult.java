package dev.mdev.core.vm;

import java.util.List;

/// What came of a guest program.
///
/// @param end how it ended
/// @param steps the results of the steps that were executed, the last perhaps in part
public record ProgramResult(End end, List<StepResult> steps) {
    public ProgramResult {
        steps = List.copyOf(steps);
    }

    /// How a program ended.
    public enum End {
        /// All steps were executed; single ones may have faulted if the program goes on after that.
        COMPLETED,
        /// A step faulted.
        FAULTED,
        /// It was stopped: by its deadline, a cancellation, or the end of the machine.
        INTERRUPTED
    }
}

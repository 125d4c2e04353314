package dev.mdev.core.machinestate;

/// Where a processor was when its machine stopped to be saved.
///
/// @param running whether it executed a program; otherwise the other values are 0
/// @param step the step of the program
/// @param completed the complete accesses of that step: the next one was not made
public record ProgramPosition(boolean running, int step, long completed) {
    /// A processor without a program.
    public static final ProgramPosition IDLE = new ProgramPosition(false, 0, 0);
}

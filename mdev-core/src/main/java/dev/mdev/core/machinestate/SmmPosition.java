package dev.mdev.core.machinestate;

/// The system management mode of a processor when its machine stopped to be saved.
///
/// @param inside whether it was in the mode
/// @param waiting whether an interrupt into it waited
/// @param smbase address of its handler's memory, less than 2^32
public record SmmPosition(boolean inside, boolean waiting, long smbase) {}

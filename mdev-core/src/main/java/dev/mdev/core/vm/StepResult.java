package dev.mdev.core.vm;

import dev.mdev.core.engine.VcpuExit;

import java.util.List;
import java.util.Optional;

/// What came of one step of a guest program.
///
/// @param completed accesses that were done
/// @param values what a [GuestProgram.Step.Read] loaded, as unsigned numbers in the low bytes; else
///   empty
/// @param mismatches of a [GuestProgram.Step.Check], else 0
/// @param firstMismatch of a [GuestProgram.Step.Check] that had one
/// @param mmioExits accesses, or pieces of them, that left the guest
/// @param unassigned those of them that no device claims: loads give all ones, stores go nowhere
/// @param fault why the step stopped early, if it did
/// @param durationNanos how long it took
public record StepResult(
        long completed,
        List<Long> values,
        long mismatches,
        Optional<Mismatch> firstMismatch,
        long mmioExits,
        long unassigned,
        Optional<VcpuExit.Fault> fault,
        long durationNanos) {

    /// A value that was not as expected.
    ///
    /// @param gpa its guest-physical address
    public record Mismatch(long gpa, long expected, long actual) {}
}

package dev.mdev.core.vm;

import dev.mdev.core.engine.VcpuExit;

import java.util.List;
import java.util.Optional;

/// The result of one step of a guest program.
///
/// @param completed completed accesses; 1 or 0 of an interrupt or RSM
/// @param values the loaded values of a [GuestProgram.Step.Read], as unsigned numbers in the low
///   bytes; otherwise empty
/// @param mismatches of a [GuestProgram.Step.Check], otherwise 0
/// @param firstMismatch of a [GuestProgram.Step.Check] that had one
/// @param mmioExits accesses, or pieces of them, that left the guest
/// @param unassigned those of them without a target: loads give all ones, stores have no effect
/// @param fault why the step stopped early, if it did
/// @param inSmm whether the processor was in system management mode at its end
/// @param addressSpace the number of the address space that its accesses used, or, of an interrupt
///   or RSM, that the next accesses use
/// @param durationNanos how long it took
public record StepResult(
        long completed,
        List<Long> values,
        long mismatches,
        Optional<Mismatch> firstMismatch,
        long mmioExits,
        long unassigned,
        Optional<VcpuExit.Fault> fault,
        boolean inSmm,
        int addressSpace,
        long durationNanos) {

    /// An unexpected value.
    ///
    /// @param gpa its guest-physical address
    public record Mismatch(long gpa, long expected, long actual) {}
}

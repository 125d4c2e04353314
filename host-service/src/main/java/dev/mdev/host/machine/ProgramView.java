package dev.mdev.host.machine;

import dev.mdev.api.page.Access;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.StepResult;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/// The result of a guest program, as clients see it.
///
/// @param end how it ended
/// @param steps the executed steps; the last may be incomplete
/// @param devices the faults of the machine's devices during the program, on all processors
record ProgramView(ProgramResult.End end, List<Step> steps, List<Device> devices) {

    /// The result of one step.
    ///
    /// @param completed completed accesses
    /// @param values of a `read`
    /// @param mismatches of a `check`
    /// @param mmioExits accesses, or pieces of them, without mapped memory
    /// @param unassigned those of them without any target
    /// @param inSmm of a machine with system management mode: whether the processor was in it at
    ///   the end of the step
    /// @param addressSpace of such a machine: the address space that the accesses used
    /// @param fault why it stopped early, if it did
    record Step(
            String op,
            long completed,
            @Nullable List<U64> values,
            @Nullable Long mismatches,
            @Nullable Mismatch firstMismatch,
            long mmioExits,
            long unassigned,
            @Nullable Boolean inSmm,
            @Nullable Integer addressSpace,
            long micros,
            @Nullable Fault fault) {}

    /// An unexpected value.
    record Mismatch(U64 gpa, U64 expected, U64 actual) {}

    /// Why an access failed.
    ///
    /// @param errno the error's name, such as `EACCES`
    record Fault(U64 gpa, Access access, String errno, String reason) {}

    /// A device of the machine.
    ///
    /// @param faults the number of faults while the program ran
    /// @param residentPages pages mapped at its end
    record Device(UUID mdev, long faults, long residentPages) {}

    /// @param smm whether the machine has system management mode
    static ProgramView of(
            ProgramRequest request, ProgramResult result, boolean smm, List<Device> devices) {
        List<Step> steps = new ArrayList<>();
        for (int i = 0; i < result.steps().size(); i++) {
            steps.add(step(request.steps().get(i), result.steps().get(i), smm));
        }
        return new ProgramView(result.end(), steps, devices);
    }

    private static Step step(ProgramRequest.Step asked, StepResult result, boolean smm) {
        boolean reads = asked instanceof ProgramRequest.Read;
        boolean checks = asked instanceof ProgramRequest.Check;
        return new Step(
                asked.op(),
                result.completed(),
                reads ? result.values().stream().map(U64::new).toList() : null,
                checks ? (Long) result.mismatches() : null,
                result.firstMismatch().map(ProgramView::mismatch).orElse(null),
                result.mmioExits(),
                result.unassigned(),
                smm ? (Boolean) result.inSmm() : null,
                smm ? (Integer) result.addressSpace() : null,
                result.durationNanos() / 1000,
                result.fault().map(ProgramView::fault).orElse(null));
    }

    private static Mismatch mismatch(StepResult.Mismatch mismatch) {
        return new Mismatch(
                new U64(mismatch.gpa()), new U64(mismatch.expected()), new U64(mismatch.actual()));
    }

    private static Fault fault(VcpuExit.Fault fault) {
        return new Fault(
                new U64(fault.gpa()),
                fault.access(),
                fault.refusal().errno().name(),
                fault.refusal().reason());
    }
}

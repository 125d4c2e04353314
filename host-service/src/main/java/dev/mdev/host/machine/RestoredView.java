package dev.mdev.host.machine;

import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.vm.MachineRestore;
import dev.mdev.host.label.Metadata;

import java.util.List;
import java.util.concurrent.TimeUnit;

/// A restored machine, as clients see it.
///
/// @param programs where the program of each processor was, in the order of the processors
/// @param saved how the state was saved
record RestoredView(MachineView machine, List<Position> programs, Saved saved) {
    /// Where a program was.
    ///
    /// @param running whether there was one
    /// @param step which step it was in
    /// @param completed the complete accesses of that step
    record Position(boolean running, int step, long completed) {}

    /// How a machine was saved.
    ///
    /// @param rounds how often pages were copied while the guest ran
    /// @param pages copied pages that were not zero
    /// @param stoppedPages pages that were copied while the guest stood still
    /// @param stopMicros how long it stood still
    record Saved(int rounds, long pages, long stoppedPages, long stopMicros) {
        static Saved of(SaveReport report) {
            return new Saved(
                    report.rounds(),
                    report.pages(),
                    report.stoppedPages(),
                    TimeUnit.NANOSECONDS.toMicros(report.stopNanos()));
        }
    }

    static RestoredView of(MachineRestore.Restored restored) {
        return new RestoredView(
                MachineView.of(restored.machine(), Metadata.NONE),
                restored.positions().stream()
                        .map(it -> new Position(it.running(), it.step(), it.completed()))
                        .toList(),
                Saved.of(restored.report()));
    }
}

package dev.mdev.host.parent;

import dev.mdev.api.MdevType;
import dev.mdev.core.capacity.FitReport;
import dev.mdev.core.capacity.PoolUsage;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;

/// Whether one more device of a type fits; if not, why, and what would make room.
///
/// @param text all of it in a sentence or two
/// @param instances devices of the type that are there
/// @param maxInstances the most there may be
/// @param shortages the pools that have no room for one more
/// @param plan moves of idle devices that would make room, if there are such
record FitView(
        String parent,
        String type,
        boolean fits,
        String text,
        int instances,
        int maxInstances,
        List<Shortage> shortages,
        @Nullable PlanView plan) {

    /// A pool that has no room.
    ///
    /// @param fragmented whether there are enough free pages, and only their places are wrong
    /// @param blockers who is in the way in the place that is the easiest to clear
    record Shortage(
            MdevType.Demand demand, PoolUsage usage, boolean fragmented, List<Blocker> blockers) {}

    /// Who has pages where room is needed.
    ///
    /// @param mdev the device, if it is one
    /// @param reason whether it could move
    /// @param detail who has it, or what is wrong with it
    record Blocker(
            @Nullable UUID mdev, long pages, FitReport.Reason reason, @Nullable String detail) {}

    static FitView of(FitReport report) {
        return new FitView(
                report.parent(),
                report.type(),
                report.fits(),
                report.text(),
                report.instances(),
                report.maxInstances(),
                report.shortages().stream().map(FitView::shortage).toList(),
                report.plan().map(PlanView::of).orElse(null));
    }

    private static Shortage shortage(FitReport.Shortage shortage) {
        return new Shortage(
                shortage.demand(),
                shortage.usage(),
                shortage.isFragmentation(),
                shortage.blockers().stream().map(FitView::blocker).toList());
    }

    private static Blocker blocker(FitReport.Blocker blocker) {
        return new Blocker(
                blocker.uuid().orElse(null),
                blocker.npages(),
                blocker.reason(),
                blocker.detail().isEmpty() ? null : blocker.detail());
    }
}

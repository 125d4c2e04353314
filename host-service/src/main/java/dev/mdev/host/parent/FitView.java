package dev.mdev.host.parent;

import dev.mdev.api.MdevType;
import dev.mdev.core.capacity.FitReport;
import dev.mdev.core.capacity.PoolUsage;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;

/// Whether one more device of a type fits; if not, why, and what would make room.
///
/// @param text a summary in one or two sentences
/// @param instances existing devices of the type
/// @param maxInstances the limit of devices of the type
/// @param shortages the pools without room for one more
/// @param plan moves of idle devices that would make room, if any
record FitView(
        String parent,
        String type,
        boolean fits,
        String text,
        int instances,
        int maxInstances,
        List<Shortage> shortages,
        @Nullable PlanView plan) {

    /// A pool without room.
    ///
    /// @param fragmented whether enough pages are free, but in the wrong places
    /// @param blockers the obstacles in the place that is easiest to clear
    record Shortage(
            MdevType.Demand demand, PoolUsage usage, boolean fragmented, List<Blocker> blockers) {}

    /// The holder of pages where room is needed.
    ///
    /// @param mdev the device, if it is one
    /// @param reason whether it could move
    /// @param detail its holder or its problem
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

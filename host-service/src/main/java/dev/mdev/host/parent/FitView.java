package dev.mdev.host.parent;

import dev.mdev.api.MdevType;
import dev.mdev.core.capacity.FitReport;
import dev.mdev.core.capacity.PoolUsage;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;

/// Whether one more device of a type fits; if not, why, and what would make room.
///
/// @param text a summary in one or two sentences
/// @param instances existing devices of the type
/// @param maxInstances the limit of devices of the type; absent if there is none
/// @param shortages the pools without room for one more
/// @param givers the devices that would be asked to give up pages of elastic shares, in that order
/// @param plan moves of idle devices that would make room, if any
record FitView(
        String parent,
        String type,
        boolean fits,
        String text,
        int instances,
        @Nullable Integer maxInstances,
        List<Shortage> shortages,
        List<Giver> givers,
        @Nullable PlanView plan) {

    /// A pool without room.
    ///
    /// @param fragmented whether enough pages are free, but in the wrong places
    /// @param blockers the obstacles in the place that is easiest to clear
    record Shortage(
            MdevType.Demand demand, PoolUsage usage, boolean fragmented, List<Blocker> blockers) {}

    /// A device with pages above its guaranteed minimum.
    ///
    /// @param mdev the device, if it is one that the caller sees
    /// @param pages what it would be asked for
    record Giver(@Nullable UUID mdev, String pool, long pages) {}

    /// The holder of pages where room is needed.
    ///
    /// @param mdev the device, if it is one that the caller sees
    /// @param reason whether it could move
    /// @param detail its holder or its problem, if the caller sees it
    record Blocker(
            @Nullable UUID mdev, long pages, FitReport.Reason reason, @Nullable String detail) {}

    /// @param sees which devices the caller sees
    static FitView of(FitReport report, Predicate<UUID> sees) {
        return new FitView(
                report.parent(),
                report.type(),
                report.fits(),
                report.text(),
                report.instances(),
                TypeView.limit(report.maxInstances()),
                report.shortages().stream().map(it -> shortage(it, sees)).toList(),
                report.givers().stream()
                        .map(it ->
                                new Giver(
                                        sees.test(it.uuid()) ? it.uuid() : null,
                                        it.pool(),
                                        it.npages()))
                        .toList(),
                report.plan()
                        .filter(it -> it.moves().stream().allMatch(move -> sees.test(move.uuid())))
                        .map(PlanView::of)
                        .orElse(null));
    }

    private static Shortage shortage(FitReport.Shortage shortage, Predicate<UUID> sees) {
        return new Shortage(
                shortage.demand(),
                shortage.usage(),
                shortage.isFragmentation(),
                shortage.blockers().stream().map(it -> blocker(it, sees)).toList());
    }

    private static Blocker blocker(FitReport.Blocker blocker, Predicate<UUID> sees) {
        boolean isSeen = blocker.uuid().map(sees::test).orElse(true);
        return new Blocker(
                blocker.uuid().filter(sees).orElse(null),
                blocker.npages(),
                blocker.reason(),
                blocker.detail().isEmpty() || !isSeen ? null : blocker.detail());
    }
}

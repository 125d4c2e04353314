package dev.mdev.core.capacity;

import dev.mdev.api.MdevType;
import dev.mdev.api.page.PfnRange;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// One pool at one moment, as the planner sees it.
///
/// @param name the pool's name
/// @param free its free extents
/// @param occupants the tenants of the other pages
public record PoolView(String name, ExtentMap free, List<Occupant> occupants) {
    public PoolView {
        occupants = List.copyOf(occupants);
    }

    /// A tenant of pages.
    ///
    /// @param blocker its form in a report
    /// @param extents its pages in this pool
    /// @param demand its type's demand on this pool, if it is a movable device
    public record Occupant(
            FitReport.Blocker blocker, List<PfnRange> extents, Optional<MdevType.Demand> demand) {
        public Occupant {
            extents = List.copyOf(extents);
        }

        boolean isMovable() {
            return blocker.reason() == FitReport.Reason.IDLE && demand.isPresent();
        }

        /// Whether it could move after a release.
        boolean couldBeMoved() {
            return isMovable() || blocker.reason() == FitReport.Reason.ASSIGNED;
        }

        UUID uuid() {
            return blocker.uuid().orElseThrow();
        }

        boolean overlaps(PfnRange range) {
            return extents.stream().anyMatch(extent -> extent.overlaps(range));
        }
    }
}

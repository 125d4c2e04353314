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
/// @param occupants who has the other pages
public record PoolView(String name, ExtentMap free, List<Occupant> occupants) {
    public PoolView {
        occupants = List.copyOf(occupants);
    }

    /// Who has pages.
    ///
    /// @param blocker how it is called in a report
    /// @param extents its pages in this pool
    /// @param demand what its type needs of this pool, if it is a device that can be moved
    public record Occupant(
            FitReport.Blocker blocker, List<PfnRange> extents, Optional<MdevType.Demand> demand) {
        public Occupant {
            extents = List.copyOf(extents);
        }

        boolean isMovable() {
            return blocker.reason() == FitReport.Reason.IDLE && demand.isPresent();
        }

        /// Whether it could be moved if somebody let it go.
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

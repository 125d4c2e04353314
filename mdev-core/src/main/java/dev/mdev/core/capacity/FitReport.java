package dev.mdev.core.capacity;

import dev.mdev.api.MdevType;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// Whether one more device of a type fits on a parent; if not, why, and what would make room.
///
/// @param parent the parent's name
/// @param type the type's id
/// @param instances devices of the type that are there
/// @param maxInstances the most there may be
/// @param shortages the pools that have no room for one more
/// @param plan moves of idle devices that would make room, if such were found and there is a
///   shortage
public record FitReport(
        String parent,
        String type,
        int instances,
        int maxInstances,
        List<Shortage> shortages,
        Optional<DefragPlan> plan) {
    public FitReport {
        shortages = List.copyOf(shortages);
    }

    /// Whether one more device fits now.
    public boolean fits() {
        return shortages.isEmpty() && instances < maxInstances;
    }

    /// A pool that has no room.
    ///
    /// @param demand what the type needs of it
    /// @param usage what there is
    /// @param blockers who is in the way in the place that is the easiest to clear; nobody if no
    ///   place is large enough, or pages are missing rather than scattered
    public record Shortage(MdevType.Demand demand, PoolUsage usage, List<Blocker> blockers) {
        public Shortage {
            blockers = List.copyOf(blockers);
        }

        /// Whether there are enough free pages, and only their places are wrong.
        public boolean isFragmentation() {
            return usage.freePages() >= demand.npages();
        }
    }

    /// Who has pages where room is needed.
    ///
    /// @param uuid the device, if it is one
    /// @param npages the pages it has in this pool
    /// @param reason whether it could move
    /// @param detail who has it, or what is wrong with it; may be empty
    public record Blocker(Optional<UUID> uuid, long npages, Reason reason, String detail) {}

    /// Whether a blocker could move.
    public enum Reason {
        /// It could: nobody has it.
        IDLE,
        /// It could if its holder let it go.
        ASSIGNED,
        /// Its driver moves no devices.
        NOT_MOVABLE,
        /// It is somebody else's device.
        FOREIGN,
        /// It is being made or ended, or lost.
        UNSETTLED,
        /// The pages wait to be scrubbed.
        SCRUBBING,
        /// The pages are quarantined.
        QUARANTINED
    }

    /// The whole report in one sentence or two.
    public String text() {
        if (instances >= maxInstances) {
            return "type=%s has its most instances: %d".formatted(type, instances);
        }
        if (shortages.isEmpty()) {
            return "type=%s fits".formatted(type);
        }
        StringBuilder text = new StringBuilder("type=%s does not fit".formatted(type));
        for (Shortage shortage : shortages) {
            MdevType.Demand demand = shortage.demand();
            text.append(
                    ": pool=%s needs %d pages%s aligned to %d, %d are free, the largest free extent has %d"
                            .formatted(
                                    demand.pool(),
                                    demand.npages(),
                                    demand.contiguous() ? " in one extent" : "",
                                    demand.alignPages(),
                                    shortage.usage().freePages(),
                                    shortage.usage().largestFreePages()));
            shortage.blockers().forEach(blocker -> text.append(words(blocker)));
        }
        plan.ifPresent(moves ->
                text.append(
                        "; %d moves of %d pages would make room"
                                .formatted(moves.moves().size(), moves.npages())));
        return text.toString();
    }

    private static String words(Blocker blocker) {
        return "; in the way: %s %d pages %s%s"
                .formatted(
                        blocker.uuid().map(uuid -> "mdev=" + uuid).orElse("nobody's"),
                        blocker.npages(),
                        blocker.reason(),
                        blocker.detail().isEmpty() ? "" : " (" + blocker.detail() + ")");
    }
}

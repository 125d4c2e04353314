package dev.mdev.core.capacity;

import dev.mdev.api.MdevType;
import dev.mdev.api.Room;

import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// Whether one more device of a type fits on a parent; if not, why, and what would make room.
///
/// @param parent the parent's name
/// @param type the type's id
/// @param instances existing devices of the type
/// @param maxInstances the limit of devices of the type
/// @param room what the kernel says, if it counts the devices
/// @param shortages the pools without room for one more
/// @param givers the devices that would be asked to give up pages of elastic shares, in that order
/// @param plan moves of idle devices that would make room, if there is a shortage and the planner
///   found some
public record FitReport(
        String parent,
        String type,
        int instances,
        int maxInstances,
        Optional<Room> room,
        List<Shortage> shortages,
        List<Giver> givers,
        Optional<DefragPlan> plan) {
    public FitReport {
        givers = List.copyOf(givers);
        shortages = List.copyOf(shortages);
    }

    /// Whether one more device fits now, or after others gave up pages above their minimums.
    public boolean fits() {
        return shortages.isEmpty()
                && instances < maxInstances
                && room.stream().allMatch(it -> it.devices() > 0);
    }

    /// A pool without room.
    ///
    /// @param demand the type's demand on it
    /// @param usage its state
    /// @param blockers the obstacles in the place that is easiest to clear; empty if no place is
    ///   large enough, or if pages are missing rather than scattered
    public record Shortage(MdevType.Demand demand, PoolUsage usage, List<Blocker> blockers) {
        public Shortage {
            blockers = List.copyOf(blockers);
        }

        /// Whether enough pages are free, but in the wrong places.
        public boolean isFragmentation() {
            return usage.freePages() >= demand.minPages();
        }
    }

    /// A device with pages above its guaranteed minimum.
    ///
    /// @param npages what it would be asked for
    public record Giver(UUID uuid, String pool, long npages) {}

    /// The holder of pages where room is needed.
    ///
    /// @param uuid the device, if it is one
    /// @param npages its pages in this pool
    /// @param reason whether it could move
    /// @param detail its holder or its problem; may be empty
    public record Blocker(Optional<UUID> uuid, long npages, Reason reason, String detail) {}

    /// Whether a blocker could move.
    public enum Reason {
        /// It can: it is idle.
        IDLE,
        /// It can after its holder releases it.
        ASSIGNED,
        /// Its driver moves no devices.
        NOT_MOVABLE,
        /// It has an elastic share of the pool. What is above its minimum can be taken back; its
        /// other pages stay where they are.
        ELASTIC,
        /// It is a foreign device.
        FOREIGN,
        /// It is being created or ended, or lost.
        UNSETTLED,
        /// The pages wait to be scrubbed.
        SCRUBBING,
        /// The pages are quarantined.
        QUARANTINED
    }

    /// The whole report in one sentence or two.
    public String text() {
        if (room.isPresent()) {
            return "type=%s %s: %s"
                    .formatted(type, fits() ? "fits" : "does not fit", room.get().reason());
        }
        if (instances >= maxInstances) {
            return "type=%s has the maximum number of instances: %d".formatted(type, instances);
        }
        if (shortages.isEmpty()) {
            return "type=%s fits%s".formatted(type, wordsOfGivers());
        }
        StringBuilder text = new StringBuilder("type=%s does not fit".formatted(type));
        for (Shortage shortage : shortages) {
            MdevType.Demand demand = shortage.demand();
            text.append(
                    ": pool=%s needs %d pages%s aligned to %d, %d are free, the largest free extent has %d"
                            .formatted(
                                    demand.pool(),
                                    demand.minPages(),
                                    demand.contiguous() ? " in one extent" : "",
                                    demand.alignPages(),
                                    shortage.usage().freePages(),
                                    shortage.usage().largestFreePages()));
            shortage.blockers().forEach(blocker -> text.append(words(blocker)));
        }
        text.append(wordsOfGivers());
        plan.ifPresent(moves ->
                text.append(
                        "; %d moves of %d pages would make room"
                                .formatted(moves.moves().size(), moves.npages())));
        return text.toString();
    }

    private String wordsOfGivers() {
        long npages = givers.stream().mapToLong(Giver::npages).sum();
        return givers.isEmpty()
                ? ""
                : "; %d pages would be taken back from %d devices".formatted(npages, givers.size());
    }

    private static String words(Blocker blocker) {
        return "; in the way: %s %d pages %s%s"
                .formatted(
                        blocker.uuid().map(uuid -> "mdev=" + uuid).orElse("no device"),
                        blocker.npages(),
                        blocker.reason(),
                        blocker.detail().isEmpty() ? "" : " (" + blocker.detail() + ")");
    }
}

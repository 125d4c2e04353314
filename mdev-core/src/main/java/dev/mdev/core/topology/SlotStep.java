package dev.mdev.core.topology;

import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

/// One request to the keeper of the slots.
///
/// @param id the slot's id within its address space
/// @param before the slot now, null to create it
/// @param after the slot afterwards, null to delete it
record SlotStep(int id, @Nullable SlotImage before, @Nullable SlotImage after) {
    /// Whether guest addresses lose their slot, in a request of its own.
    boolean vacates() {
        return before != null && (after == null || !before.isSamePlace(after));
    }

    /// Whether guest addresses get a slot.
    boolean occupies() {
        return after != null && (before == null || !before.isSamePlace(after));
    }

    /// Whether a log disappears with its slot.
    boolean dropsLog() {
        return before != null && after == null && before.isLogging();
    }

    SlotStep inverse() {
        return new SlotStep(id, after, before);
    }

    UserMemoryRegion request(int asId) {
        int slotNumber = UserMemoryRegion.slotNumber(asId, id);
        return after != null ? after.region(slotNumber) : UserMemoryRegion.deletionOf(slotNumber);
    }
}

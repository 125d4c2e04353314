package dev.mdev.core.dirty;

import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

/// Gathers harvested ring entries into as few requests for write protection as Linux does
/// (`kvm_dirty_ring_reset`): neighbours within 64 pages in one slot, forwards, and backwards until
/// a page would fall off the far end.
///
/// Only the current batch counts, its base need not be a multiple of 64, and an entry beyond the
/// slot invalidates its batch: all of the batch's pages stay unprotected. The entries come from
/// memory that the VMM may write.
final class DirtyRingBatch {
    private final AddressSpaces slots;
    private final DirtyProtector protector;
    private int slot;
    private long base;
    private long mask;

    /// @param slots where entries' slots are looked up; the caller holds the slots lock
    DirtyRingBatch(AddressSpaces slots, DirtyProtector protector) {
        this.slots = slots;
        this.protector = protector;
    }

    void add(int nextSlot, long offset) {
        if (mask != 0 && nextSlot == slot && merges(offset)) {
            return;
        }
        finish();
        slot = nextSlot;
        base = offset;
        mask = 1;
    }

    /// Requests the protection of the gathered pages.
    void finish() {
        Memslot found = mask == 0 ? null : userSlot();
        if (found != null && isWithin(found)) {
            protector.protect(found, base, mask);
        }
        mask = 0;
    }

    private boolean merges(long offset) {
        long distance = offset - base;
        if (distance >= 0 && distance < Long.SIZE) {
            mask |= 1L << distance;
            return true;
        }
        if (distance < 0 && distance > -Long.SIZE && mask << -distance >>> -distance == mask) {
            base = offset;
            mask = mask << -distance | 1;
            return true;
        }
        return false;
    }

    private @Nullable Memslot userSlot() {
        return UserMemoryRegion.idOf(slot) < SlotIds.USER_SLOTS ? slots.slotOf(slot) : null;
    }

    private boolean isWithin(Memslot found) {
        // Compares both ends, because their sum may wrap.
        int highest = Long.SIZE - 1 - Long.numberOfLeadingZeros(mask);
        return Long.compareUnsigned(base, found.npages()) < 0
                && Long.compareUnsigned(base + highest, found.npages()) < 0;
    }
}

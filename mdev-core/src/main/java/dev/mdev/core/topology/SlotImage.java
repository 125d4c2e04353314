package dev.mdev.core.topology;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

/// A slot without its number.
///
/// @param gpa first guest physical address
/// @param sizeBytes bytes, at least a page
/// @param hva first host address
/// @param flags bits of [SlotFlags]
record SlotImage(long gpa, long sizeBytes, long hva, int flags) {
    long lastGpa() {
        return gpa + (sizeBytes - 1);
    }

    boolean isLogging() {
        return (flags & SlotFlags.LOG_DIRTY_PAGES) != 0;
    }

    boolean isSamePlace(SlotImage other) {
        return gpa == other.gpa;
    }

    /// Whether the kernel can turn this slot into the other one by a move or a change of logging.
    boolean isSameMemory(SlotImage other) {
        return memory().equals(other.memory());
    }

    /// The attributes that a change of a slot must keep; otherwise it is deleted and created.
    SlotImage memory() {
        return new SlotImage(0, sizeBytes, hva, flags & ~SlotFlags.LOG_DIRTY_PAGES);
    }

    boolean overlaps(SlotImage other) {
        return Long.compareUnsigned(gpa, other.lastGpa()) <= 0
                && Long.compareUnsigned(other.gpa, lastGpa()) <= 0;
    }

    GfnRange gfns() {
        return new GfnRange(Page.numberOf(gpa), Page.numberOf(sizeBytes));
    }

    UserMemoryRegion region(int slotNumber) {
        return new UserMemoryRegion(slotNumber, flags, gpa, sizeBytes, hva);
    }

    @Override
    public String toString() {
        return "[0x%x, 0x%x] hva=0x%x flags=0x%x".formatted(gpa, lastGpa(), hva, flags);
    }
}

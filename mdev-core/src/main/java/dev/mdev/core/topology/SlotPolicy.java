package dev.mdev.core.topology;

import dev.mdev.core.memslot.SlotIds;

/// The capabilities of the keeper of the slots.
///
/// @param maxSlots the maximum number of slots in the address space
/// @param maxSlotPages pages of the largest slot; a longer run becomes several slots
/// @param readonlySlots whether read-only slots exist (`KVM_CAP_READONLY_MEM`). Without them ROM
///   gets no slot and every access to it traps: a writable slot would let a guest change it
/// @param movableSlots whether a slot can be moved. Linux on x86 refuses it while something tracks
///   the pages of the guest from outside
public record SlotPolicy(
        int maxSlots, long maxSlotPages, boolean readonlySlots, boolean movableSlots) {
    /// The kernel's limit is 2^31 - 1 pages. This one is a multiple of 1 GiB, so that no huge page
    /// crosses the border of two slots.
    private static final long MAX_SLOT_PAGES = (1L << 31) - (1L << 18);

    public SlotPolicy {
        if (maxSlots < 1 || maxSlotPages < 1) {
            throw new IllegalArgumentException(
                    "maxSlots=%d maxSlotPages=%d".formatted(maxSlots, maxSlotPages));
        }
    }

    /// Linux on x86-64.
    public static SlotPolicy linux() {
        return new SlotPolicy(SlotIds.USER_SLOTS, MAX_SLOT_PAGES, true, true);
    }
}

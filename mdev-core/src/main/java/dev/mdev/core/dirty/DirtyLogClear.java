package dev.mdev.core.dirty;

/// The part of a log to be cleared (Linux `struct kvm_clear_dirty_log`). This record checks
/// nothing: every value may come from a hostile VMM.
///
/// @param slot the slot's number, `asId << 16 | id`
/// @param npages pages of the part, unsigned
/// @param firstIndex index within the slot of the part's first page, unsigned
public record DirtyLogClear(int slot, int npages, long firstIndex) {
    /// The pages of the part as a nonnegative number.
    public long npagesUnsigned() {
        return Integer.toUnsignedLong(npages);
    }

    @Override
    public String toString() {
        return "slot=0x%x npages=%d firstIndex=%s"
                .formatted(slot, npagesUnsigned(), Long.toUnsignedString(firstIndex));
    }
}

package dev.mdev.core.memslot;

/// Where a write to a slot that logs is recorded.
@FunctionalInterface
public interface DirtySink {
    /// The `vcpuId` of a write that no vCPU made.
    int NO_VCPU = -1;

    /// Records that a page was written. Called by any thread, in a read section of the slots, only
    /// for slots with [SlotFlags#LOG_DIRTY_PAGES], after the write; must not block or throw.
    ///
    /// @param slot the slot that the write went through
    /// @param pageIndex the page's index within the slot
    /// @param vcpuId the vCPU that wrote, or [#NO_VCPU]
    void mark(Memslot slot, long pageIndex, int vcpuId);

    /// Sets the bit in the slot's bitmap; without a bitmap the mark is lost.
    static DirtySink bitmaps() {
        return (slot, pageIndex, _) -> {
            DirtyBitmap bitmap = slot.bitmap();
            if (bitmap != null) {
                bitmap.set(pageIndex);
            }
        };
    }
}

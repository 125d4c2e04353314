package dev.mdev.core.hostmm;

import dev.mdev.core.addr.HvaRange;

/// Keeps translations derived from a [HostMm]'s entries, and drops them before the entries
/// disappear (Linux `mmu_notifier_ops.invalidate_range_start` and `_end`).
///
/// Between the two calls the range's entries change. Calls for different ranges overlap in time;
/// each start is followed by its end, by the same thread.
public interface MmuNotifier {
    /// Drops everything derived from the range. When it returns, all uses of it have ended, and
    /// nothing new is derived from the range until [#invalidateEnd].
    void invalidateStart(HvaRange range);

    /// The entries are gone; derivation may begin again.
    void invalidateEnd(HvaRange range);
}

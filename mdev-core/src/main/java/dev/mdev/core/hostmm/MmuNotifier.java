package dev.mdev.core.hostmm;

import dev.mdev.core.addr.HvaRange;

/// Somebody who keeps translations derived from a [HostMm]'s entries, and must drop them before the
/// entries go (Linux `mmu_notifier_ops.invalidate_range_start` and `_end`).
///
/// Between the two calls the range's entries change. Calls for different ranges overlap in time;
/// each start is followed by its end, by the same thread.
public interface MmuNotifier {
    /// Drops everything derived from the range. When it returns, nobody uses what was dropped, and
    /// nothing new is derived from the range until [#invalidateEnd].
    void invalidateStart(HvaRange range);

    /// The entries are gone; deriving may begin again.
    void invalidateEnd(HvaRange range);
}

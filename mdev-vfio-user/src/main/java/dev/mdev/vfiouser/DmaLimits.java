package dev.mdev.vfiouser;

import dev.mdev.core.memslot.SlotIds;

/// What one client may map.
///
/// @param maps ranges, at most [SlotIds#USER_SLOTS]
/// @param bytes the sizes of all ranges together, and those of all mapped files
/// @param files files that are mapped into this process at a time
/// @param pinnedPages pages that the device may pin, counted once for each pin
public record DmaLimits(int maps, long bytes, int files, long pinnedPages) {
    /// All slots, 1 TiB, 64 files, and 1 GiB of pinned pages.
    public static final DmaLimits DEFAULT =
            new DmaLimits(SlotIds.USER_SLOTS, 1L << 40, 64, 1L << 18);

    public DmaLimits {
        if (maps < 1 || maps > SlotIds.USER_SLOTS || bytes < 0 || files < 1 || pinnedPages < 0) {
            throw new IllegalArgumentException(
                    "maps=%d bytes=%d files=%d pinnedPages=%d"
                            .formatted(maps, bytes, files, pinnedPages));
        }
    }
}

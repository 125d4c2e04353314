package dev.mdev.core.capacity;

import java.util.Optional;
import java.util.UUID;

/// A part of a pool whose pages are all used alike.
///
/// @param firstPage its first page, counted from the pool's first
/// @param npages its pages
/// @param use what they are used for
/// @param uuid the device they belong to, if they belong to one
public record PoolExtent(long firstPage, long npages, Use use, Optional<UUID> uuid) {
    /// What pages are used for.
    public enum Use {
        /// Nothing: they are clean, and can be given out.
        FREE,
        /// They belong to a device.
        DEVICE,
        /// They are to be scrubbed before they are free.
        SCRUBBING,
        /// They could not be scrubbed, and are never given out.
        QUARANTINED
    }
}

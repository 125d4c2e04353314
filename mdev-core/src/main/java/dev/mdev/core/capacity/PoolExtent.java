package dev.mdev.core.capacity;

import java.util.Optional;
import java.util.UUID;

/// A part of a pool whose pages all have the same use.
///
/// @param firstPage its first page, counted from the pool's first
/// @param npages its pages
/// @param use their use
/// @param uuid the device they belong to, if they belong to one
public record PoolExtent(long firstPage, long npages, Use use, Optional<UUID> uuid) {
    /// The use of pages.
    public enum Use {
        /// None: they are clean and free.
        FREE,
        /// They belong to a device.
        DEVICE,
        /// They are the parent's own: all its devices may map them, read-only.
        SHARED,
        /// They must be scrubbed before they are free.
        SCRUBBING,
        /// They could not be scrubbed, and stay unused.
        QUARANTINED
    }
}

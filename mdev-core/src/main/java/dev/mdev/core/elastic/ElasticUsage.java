package dev.mdev.core.elastic;

import java.util.UUID;

/// What a device has of an elastic share.
///
/// @param pool the pool
/// @param minPages the guaranteed pages
/// @param maxPages the most that it can use
/// @param heldPages physical pages that it has now, at least `minPages` unless pages broke
/// @param usedPages those of them that have content
/// @param storedPages pages in the backing store
/// @param pinnedPages pages that its driver keeps where they are
/// @param evictedPages pages that were taken away so far
/// @param returnedPages pages that came back so far
public record ElasticUsage(
        UUID uuid,
        String pool,
        long minPages,
        long maxPages,
        long heldPages,
        long usedPages,
        long storedPages,
        long pinnedPages,
        long evictedPages,
        long returnedPages) {
    /// Pages that others may have.
    public long reclaimablePages() {
        return Math.max(0, heldPages - minPages);
    }
}

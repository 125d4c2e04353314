package dev.mdev.core.capacity;

/// The state of one pool of a parent.
///
/// @param pool its name
/// @param totalPages all its pages
/// @param freePages those that belong to no device
/// @param largestFreePages the longest run of free neighbours
/// @param reclaimablePages those that devices with elastic shares have above their guaranteed
///   minimums: the host can take them back
public record PoolUsage(
        String pool,
        long totalPages,
        long freePages,
        long largestFreePages,
        long reclaimablePages) {}

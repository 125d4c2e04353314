package dev.mdev.core.elastic;

import java.time.Duration;

/// What a pool with elastic shares is made of.
///
/// @param name the pool's name
/// @param totalPages all its pages
/// @param unitPages pages of a unit
/// @param bank its frames
/// @param store the room of the parent's backing store
/// @param deadline the most that a request for a page waits
public record PoolParts(
        String name,
        long totalPages,
        int unitPages,
        FrameBank bank,
        StoreSpace store,
        ElasticNews news,
        ElasticOptions options,
        Duration deadline) {}

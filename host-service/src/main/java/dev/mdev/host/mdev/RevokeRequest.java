package dev.mdev.host.mdev;

import jakarta.validation.constraints.Min;

import org.jspecify.annotations.Nullable;

/// What to revoke. Without a region: every region, completely.
///
/// @param firstPage the first page of the region; 0 if absent
/// @param pages the number of pages; to the region's end if absent
record RevokeRequest(
        @Nullable @Min(0) Integer region,
        @Nullable @Min(0) Long firstPage,
        @Nullable @Min(1) Long pages) {}

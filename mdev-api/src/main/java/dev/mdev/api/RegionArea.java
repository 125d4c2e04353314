package dev.mdev.api;

import dev.mdev.api.page.Page;

/// A page-aligned part of a region, and how guests reach it.
///
/// @param offsetBytes where it starts in the region, a multiple of the page size
/// @param sizeBytes its size, a multiple of the page size, at least one page
/// @param kind how accesses are served
public record RegionArea(long offsetBytes, long sizeBytes, Kind kind) {
    /// How accesses to an area are served.
    public enum Kind {
        /// Each access is a call of [MdevDevice#read] or [MdevDevice#write].
        TRAPPED,
        /// Reserved when the guest maps it; each page is mapped when it is first touched, as
        /// [MdevDevice#validateMapRequest] answers.
        LAZY,
        /// All of it is mapped when the guest maps it, as direct device assignment does.
        EAGER
    }

    public RegionArea {
        if (offsetBytes < 0
                || sizeBytes < 1
                || offsetBytes > Long.MAX_VALUE - sizeBytes
                || !Page.isAligned(offsetBytes)
                || !Page.isAligned(sizeBytes)) {
            throw new IllegalArgumentException(
                    "offsetBytes=0x%x sizeBytes=0x%x".formatted(offsetBytes, sizeBytes));
        }
    }

    /// The offset of the first byte after the area.
    public long endBytes() {
        return offsetBytes + sizeBytes;
    }
}
